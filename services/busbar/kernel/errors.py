"""Errors that say what the runtime does next.

BusbarError
├── ConfigurationError   the operator must change something: stop the process and say what
├── Retry                the message may succeed later: try it again after a while
├── Reject               the message cannot be handled: give it up immediately, with this reason
├── Conflict             another writer was first: load again and decide again
└── Fenced               this process no longer owns the work: stop acting on it immediately

A handler that raises Retry, or any error that is not listed here, is called again, up to
``BUSBAR_HANDLER_ATTEMPTS`` times in all; then its record is given up. What that means depends on
the record. A rejected *intent* becomes a dead letter, and the records behind it go on. Every other
record parks its ordering key: a rejected *fact*, since skipping it would corrupt what is folded
from it, and any record whose attempts are used up. The runtime tries a parked record again from
time to time, and the later records of its key wait behind it until it is handled or discarded.
"""

CONFIGURATION_EXIT_CODE = 9
"""Exit code of a process that stops with :class:`ConfigurationError`: a restart cannot help."""


class BusbarError(Exception):
    """The base class of every error that busbar raises deliberately."""


class ConfigurationError(BusbarError):
    """The operator must change something; ``fix`` says what."""

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(f"{problem} {fix}")
        self.problem = problem
        self.fix = fix


class Retry(BusbarError):
    """The same message may succeed later: try it again in ``after`` seconds."""

    def __init__(self, reason: str, *, after: float = 1.0) -> None:
        super().__init__(reason)
        self.after = after


class Reject(BusbarError):
    """The message cannot be handled: give it up without another attempt.

    A rejected intent becomes a dead letter; a rejected fact parks its ordering key.
    """

    def __init__(self, code: str, detail: str) -> None:
        """Give the ``code``, one of a fixed few, to count by, and the ``detail``, for people."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Conflict(BusbarError):
    """Another writer was first to append to the stream or to move the offset."""


class Fenced(BusbarError):
    """A lease was lost: another process owns the work under a higher epoch."""

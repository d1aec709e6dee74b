"""Errors that say what happens next.

BusbarError
├── ConfigurationError   the operator must change something; the process stops with this sentence
├── Retry                nothing is wrong with the message; try it again after a while
├── Reject               the message can never be handled; dead-letter it with this reason
├── Conflict             another writer was first; load and decide again
└── Fenced               this process no longer owns the work; stop immediately
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
    """The same message may succeed later; try again ``after`` seconds."""

    def __init__(self, reason: str, *, after: float = 1.0) -> None:
        super().__init__(reason)
        self.after = after


class Reject(BusbarError):
    """The message can never be handled: dead-letter it. ``code`` is stable, ``detail`` explains."""

    def __init__(self, code: str, detail: str) -> None:
        """Give the bounded ``code`` (for counting) and the ``detail`` (for people)."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Conflict(BusbarError):
    """Another writer appended to the same stream, or moved the same offset, first."""


class Fenced(BusbarError):
    """A lease was lost: another process owns the work under a higher epoch."""

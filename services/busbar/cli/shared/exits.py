"""The exit codes. They are stable: scripts may rely on them."""

from enum import IntEnum

from busbar.kernel.errors import CONFIGURATION_EXIT_CODE, BusbarError


class ExitCode(IntEnum):
    """The exit code of a command."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    DENIED = 3
    FAILED = 4
    STUCK = 5
    NOT_FOUND = 6
    UNREACHABLE = 7
    DIFFERENT = 8
    CONFIGURATION = CONFIGURATION_EXIT_CODE


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "success",
    ExitCode.UNEXPECTED: "unexpected error: a bug, or an answer that cannot be understood",
    ExitCode.USAGE: "invalid command line or document",
    ExitCode.DENIED: "the intent was denied or has expired, or its id was used for another intent",
    ExitCode.FAILED: "the operation failed; its detail says what exists now",
    ExitCode.STUCK: "the operation is stuck, or did not finish in time",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.UNREACHABLE: "the gateway does not answer, or a service is not ready",
    ExitCode.DIFFERENT: "differences were found (replay, audit check)",
    ExitCode.CONFIGURATION: "configuration error: something has to be set up or changed first",
}

OF_OPERATION = {
    "succeeded": ExitCode.OK,
    "denied": ExitCode.DENIED,
    "expired": ExitCode.DENIED,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.FAILED,
}
"""The exit code of each status that an operation ends with.

Every other status gives :attr:`ExitCode.STUCK`. No operation ends with ``cancelled`` yet: the
status comes with cancelling operations.
"""


def of_operation(status: str) -> ExitCode:
    """Return the exit code of a command that waited for an operation, by its ``status``."""
    return OF_OPERATION.get(status, ExitCode.STUCK)


class CommandError(BusbarError):
    """A command cannot do what was requested; ``fix`` is a sentence with the next step."""

    def __init__(self, problem: str, *, fix: str, code: ExitCode) -> None:
        super().__init__(problem)
        self.fix = fix
        self.code = code


def usage(problem: str, *, fix: str) -> CommandError:
    """Return the error for an invalid command line or document."""
    return CommandError(problem, fix=fix, code=ExitCode.USAGE)

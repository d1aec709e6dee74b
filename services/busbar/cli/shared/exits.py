"""What the exit codes mean. They are stable: scripts may rely on them."""

from enum import IntEnum

from busbar.kernel.errors import CONFIGURATION_EXIT_CODE, BusbarError


class ExitCode(IntEnum):
    """How a command ended."""

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
    ExitCode.OK: "it worked",
    ExitCode.UNEXPECTED: "an error that nobody expected: a bug, or an answer that makes no sense",
    ExitCode.USAGE: "the command or the document cannot be understood",
    ExitCode.DENIED: "the intent was denied, expired, or its id was used for another body",
    ExitCode.FAILED: "the operation failed and was compensated, or was cancelled",
    ExitCode.STUCK: "the operation is stuck, or did not end in time",
    ExitCode.NOT_FOUND: "there is no such thing",
    ExitCode.UNREACHABLE: "the gateway does not answer, or a service is not ready",
    ExitCode.DIFFERENT: "differences were found (replay, audit check)",
    ExitCode.CONFIGURATION: "something has to be set up or changed first",
}

OF_OPERATION = {
    "succeeded": ExitCode.OK,
    "denied": ExitCode.DENIED,
    "expired": ExitCode.DENIED,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.FAILED,
}
"""The exit code for an operation's status; every other status is :attr:`ExitCode.STUCK`."""


def of_operation(status: str) -> ExitCode:
    """The exit code of a command that waited for an operation which is now ``status``."""
    return OF_OPERATION.get(status, ExitCode.STUCK)


class CommandError(BusbarError):
    """A command cannot do what it was asked; ``fix`` says what to do about it."""

    def __init__(self, problem: str, *, fix: str, code: ExitCode) -> None:
        """Say the ``problem`` and the ``fix``, a sentence each, and how the command ends."""
        super().__init__(problem)
        self.fix = fix
        self.code = code


def usage(problem: str, *, fix: str) -> CommandError:
    """The error for something that cannot be understood."""
    return CommandError(problem, fix=fix, code=ExitCode.USAGE)

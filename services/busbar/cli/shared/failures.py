"""Errors as users see them: a sentence, a fix and an exit code, without a stack trace."""

import tempfile
import traceback
from pathlib import Path

import typer

from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.kernel.errors import BusbarError, ConfigurationError

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 401, 403, 404, 409
_BAD_REQUESTS = frozenset({400, 411, 413, 415, 422})
_UNAVAILABLE = frozenset({429, 502, 503, 504})

_TOKEN_FIX = (
    "Pass the platform's own: --token-file FILE, BUSBAR_TOKEN, or the file token in --home."  # noqa: S105 - a hint
)


def handle(error: Exception, *, debug: bool) -> ExitCode | None:
    """Print ``error``; return the exit code, or None if typer or Python handles it."""
    if isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or _is_help(error):
        return None
    if isinstance(error, typer.TyperException):
        problem = error.format_message().replace("Value error, ", "").strip()
        show(_sentence(problem), _usage_of(error))
        return ExitCode.USAGE
    if debug and not isinstance(error, CommandError | ConfigurationError):
        traceback.print_exception(error)
    if isinstance(error, BusbarError):
        problem, fix, code = _explain(error)
        show(problem, fix)
        return code
    problem = f"Unexpected error: {type(error).__name__}."
    fix = "Please report it with the traceback above."
    if not debug:
        fix = f"The traceback is in {_save_traceback(error)}; --debug shows it. Please report it."
    show(problem, fix)
    return ExitCode.UNEXPECTED


def _is_help(error: Exception) -> bool:
    """Return whether ``error`` is the help of a command that was called without arguments."""
    return type(error).__name__ == "NoArgsIsHelpError"  # typer does not export it


def _usage_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    if context is None:
        return "Run: busbar --help"
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    return f"Write {usage}; {context.command_path} --help explains it."


def show(problem: str, fix: str) -> None:
    """Print ``error:`` and ``fix:`` to standard error."""
    from busbar.cli.shared.output import errors, plain  # noqa: PLC0415 - rich loads when it is needed

    console = errors()
    console.print(f"[bold red]error:[/] {plain(problem)}")
    if fix:
        console.print(f"[bold]fix:[/] {plain(_sentence(fix))}")


def _explain(error: BusbarError) -> tuple[str, str, ExitCode]:
    from busbar.sdk import GatewayProblem, InvalidIntent, StillRunning, Unreachable  # noqa: PLC0415 - slow

    match error:
        case CommandError():
            return str(error), error.fix, error.code
        case ConfigurationError():
            return error.problem, error.fix, ExitCode.CONFIGURATION
        case GatewayProblem(code="unauthenticated"):
            return "The gateway does not accept this token.", _TOKEN_FIX, ExitCode.CONFIGURATION
        case GatewayProblem():
            fix = error.fix or (_TOKEN_FIX if error.status == _UNAUTHORIZED else "")
            return str(error), fix, _exit_code(error.status)
        case Unreachable():
            return str(error), error.fix, ExitCode.UNREACHABLE
        case StillRunning():
            return str(error), error.fix, ExitCode.STUCK
        case InvalidIntent():
            return str(error), "Correct it; nothing was sent.", ExitCode.USAGE
        case _:
            return str(error), "", ExitCode.UNEXPECTED


def _exit_code(status: int) -> ExitCode:
    if status in _BAD_REQUESTS:
        return ExitCode.USAGE
    if status in _UNAVAILABLE:
        return ExitCode.UNREACHABLE
    known = {
        _UNAUTHORIZED: ExitCode.CONFIGURATION,
        _FORBIDDEN: ExitCode.DENIED,
        _NOT_FOUND: ExitCode.NOT_FOUND,
        _CONFLICT: ExitCode.DENIED,
    }
    return known.get(status, ExitCode.UNEXPECTED)


def _save_traceback(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="busbar-error-", suffix=".txt", delete=False
    ) as file:
        file.writelines(traceback.format_exception(error))
    return Path(file.name)


def _sentence(text: str) -> str:
    """Return ``text`` as a sentence: the services' own hints are clauses."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")

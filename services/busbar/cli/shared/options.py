"""The global options, and what follows from them: settings, the gateway's address, credentials."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from busbar.cli.shared.exits import CommandError, ExitCode, usage

if TYPE_CHECKING:
    from pydantic import SecretStr

    from busbar.runtime.core.settings import Settings
    from busbar.sdk import KeyToken

WaitOption = Annotated[bool, typer.Option(help="Wait for the result.")]
TimeoutOption = Annotated[float, typer.Option(min=0, help="Maximum time to wait, in seconds.")]
EventIdOption = Annotated[
    str | None,
    typer.Option(
        "--id",
        help="The intent's id; using it again is the same intent.",
        show_default="a new one",
    ),
]

_OPTIONS_WITH_VALUE = ("--url", "--token-file", "--as", "--key", "--home")
_FLAGS = ("--debug",)


@dataclass(slots=True)
class Options:
    """The values of the global options."""

    url: str | None = None
    token_file: Path | None = None
    principal: str | None = None
    key_file: Path | None = None
    home: Path | None = None
    debug: bool = False

    def settings(self) -> "Settings":
        """Return the settings; ``--home`` overrides BUSBAR_HOME.

        Raises:
            ConfigurationError: a setting is invalid.
        """
        from busbar.runtime.core.settings import load_settings  # noqa: PLC0415 - loads pydantic

        return load_settings(**({} if self.home is None else {"home": self.home}))

    def gateway(self) -> str:
        """Return the gateway's URL: ``--url``, BUSBAR_URL, or the one registered in the home.

        Raises:
            CommandError: there is none.
        """
        from busbar.sdk.discovery import NoPlatform, registered_url  # noqa: PLC0415 - loads pydantic

        if named := self.named_gateway():
            return named
        try:
            return registered_url(self.settings().home)
        except NoPlatform as error:
            raise CommandError(error.problem, fix=error.fix, code=ExitCode.UNREACHABLE) from None

    def named_gateway(self) -> str | None:
        """Return the URL that ``--url`` or BUSBAR_URL names, or None."""
        return self.url or self.settings().url or None

    def acts_as(self) -> str | None:
        """Return the principal that commands authenticate as: ``--as`` or BUSBAR_PRINCIPAL.

        None is the owner of the token: the administrator.

        Raises:
            CommandError: options contradict each other.
        """
        if self.token_file is not None and (self.principal or self.key_file):
            raise usage(
                "--token-file names a token, and --as or --key a principal with its key.",
                fix="Leave one of them out.",
            )
        if self.token_file is not None:
            return None
        principal = self.principal or self.settings().principal
        if principal is None and self.key_file is not None:
            raise usage("--key names a key, but not whose it is.", fix="Add --as NAME.")
        return principal

    def credential(self) -> "SecretStr | KeyToken":
        """Return what commands authenticate with: the key of a principal, or the bearer token.

        The key is in ``--key``, BUSBAR_KEY_FILE, or ``<home>/keys/<principal>.pem``; the token in
        ``--token-file``, BUSBAR_TOKEN, or ``<home>/token``.

        Raises:
            CommandError: options contradict each other.
            ConfigurationError: there is none, it cannot be one, or other users can read its file.
        """
        from busbar.sdk import KeyToken  # noqa: PLC0415 - loads pydantic
        from busbar.sdk.discovery import (  # noqa: PLC0415 - the same
            read_key,
            read_token,
            secret_of,
        )

        settings = self.settings()
        if principal := self.acts_as():
            return KeyToken(principal, read_key(self.key_of(principal)))
        if self.token_file is None and settings.token is not None:
            return secret_of(settings.token, "BUSBAR_TOKEN")
        return read_token(self.token_file or settings.home / "token")

    def key_of(self, principal: str | None) -> Path:
        """Return the file of a private key: ``--key``, BUSBAR_KEY_FILE, or that of ``principal``.

        Raises:
            CommandError: no option names one.
        """
        from busbar.sdk.discovery import key_file  # noqa: PLC0415 - loads pydantic

        settings = self.settings()
        if named := self.key_file or settings.key_file:
            return named
        if principal is None:
            raise usage(
                "An intent on Kafka is signed, and no key is named.",
                fix="Pass --key FILE, or --as NAME for the key in <home>/keys/NAME.pem.",
            )
        return key_file(settings.home, principal)


def options_of(context: typer.Context) -> Options:
    """Return the global options of this call."""
    found = context.find_object(Options)
    return found if found is not None else Options()


def refuse_empty(arguments: Sequence[str], *, command: str) -> None:
    """Return if no argument of ``command`` is empty.

    Raises:
        CommandError: one is; nothing takes an empty value.
    """
    for before, argument in zip(("", *arguments), arguments, strict=False):
        name, equals, value = argument.partition("=")
        if argument.strip() and not (name.startswith("--") and equals and not value.strip()):
            continue
        option = name if equals else before if before.startswith("-") and before != "-" else ""
        what = f"The value of {option}" if option else f"An argument of `{command}`"
        raise usage(
            f"{what} is empty.",
            fix="Write a value. A variable of the shell that is not set gives an empty one.",
        )


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """Return ``arguments`` with the global options first, wherever they stood."""
    first: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*first, *rest, argument, *waiting]
        if argument in _OPTIONS_WITH_VALUE and waiting:
            first += [argument, waiting.pop(0)]
        elif argument in _FLAGS or argument.startswith(
            tuple(f"{name}=" for name in _OPTIONS_WITH_VALUE)
        ):
            first.append(argument)
        else:
            rest.append(argument)
    return [*first, *rest]

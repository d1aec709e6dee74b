"""The type of the fixture that runs the command."""

from typing import Protocol

from typer.testing import Result


class Run(Protocol):
    """Runs ``busbar <arguments>`` in a home whose gateway is the fake one."""

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result: ...

"""The declaration of an adapter: its inputs, its outputs, and whether removing loses data.

Promise files are checked against it when they are loaded, and the command line asks before a change
that deletes data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel

from busbar.kernel.errors import BusbarError

GROUP: Final = "busbar.adapters"
"""The group of the entry points of adapters."""

JsonType = Literal["boolean", "integer", "number", "string", "array", "object"]
Loss = Literal["lowered", "switched on"]
"""The change of an input that deletes data although the thing stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The class attribute ``declaration`` of an adapter.

    ``inputs`` is the model that reads the inputs, ``outputs`` maps the names of outputs to their
    JSON types; None means that the adapter does not declare them, so that they are not checked.
    ``holds_data`` is false if nothing is lost that applying again would not bring back. ``losses``
    names the inputs whose change deletes data.
    """

    inputs: type[BaseModel] | None = None
    outputs: Mapping[str, JsonType] | None = None
    holds_data: bool = True
    losses: Mapping[str, Loss] = field(default_factory=lambda: MappingProxyType({}))


UNDECLARED: Final = Declaration()


class AdapterNotLoadable(BusbarError):
    """The package of an adapter cannot be imported; the error says why."""


class InstalledDeclarations(Mapping[str, Declaration]):
    """The declarations of the installed adapters by name; an adapter is imported when asked for."""

    def __init__(self) -> None:
        self._found: dict[str, EntryPoint] = {one.name: one for one in entry_points(group=GROUP)}

    def __getitem__(self, name: str) -> Declaration:
        """Return what the adapter ``name`` declares.

        Raises:
            KeyError: it is not installed.
            AdapterNotLoadable: it cannot be imported.
        """
        found = self._found[name]
        try:
            adapter = found.load()
        except Exception as error:
            raise AdapterNotLoadable(
                f"{found.value} cannot be imported ({type(error).__name__})"
            ) from error
        declared = getattr(adapter, "declaration", UNDECLARED)
        return declared if isinstance(declared, Declaration) else UNDECLARED

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found

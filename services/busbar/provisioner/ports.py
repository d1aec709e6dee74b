"""What the provisioner needs from outside: the adapters, by name."""

from typing import Protocol

from busbar.backends.port import Backend


class Adapters(Protocol):
    """Finds the adapter that a plan names."""

    def find(self, name: str) -> Backend | None:
        """The adapter called ``name``, or None if this installation has none."""
        ...

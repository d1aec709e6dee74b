"""Adapters by the entry point ``busbar.adapters``, loaded when a plan first names them."""

from importlib.metadata import entry_points

from busbar.backends.port import AdapterFactory, Backend, Environment

GROUP = "busbar.adapters"


class InstalledAdapters:
    """The adapters of installed packages, constructed with ``environment``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._loaded: dict[str, Backend] = {}

    def find(self, name: str) -> Backend | None:
        """Return the adapter called ``name``, constructed once, or None if it is not installed."""
        if name in self._loaded:
            return self._loaded[name]
        found = entry_points(group=GROUP, name=name)
        if not found:
            return None
        factory: AdapterFactory = next(iter(found)).load()
        self._loaded[name] = factory(self._environment)
        return self._loaded[name]

    async def close(self) -> None:
        """Close every adapter that was constructed."""
        for adapter in self._loaded.values():
            await adapter.close()

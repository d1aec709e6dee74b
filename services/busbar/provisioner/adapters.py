"""Adapters by entry point: ``busbar.adapters``. Loaded when a plan first names them."""

from importlib.metadata import entry_points

from busbar.backends.port import AdapterFactory, Backend, Environment

GROUP = "busbar.adapters"


class InstalledAdapters:
    """The adapters that installed packages offer."""

    def __init__(self, environment: Environment) -> None:
        """Construct adapters with ``environment``."""
        self._environment = environment
        self._loaded: dict[str, Backend] = {}

    def find(self, name: str) -> Backend | None:
        """The adapter called ``name``, constructed once; None if nothing offers it."""
        if name in self._loaded:
            return self._loaded[name]
        offered = entry_points(group=GROUP, name=name)
        if not offered:
            return None
        factory: AdapterFactory = next(iter(offered)).load()
        self._loaded[name] = factory(self._environment)
        return self._loaded[name]

    async def close(self) -> None:
        """Close every adapter that was used."""
        for adapter in self._loaded.values():
            await adapter.close()

"""A set that remembers only what was added lately."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Recent(Generic[Item]):
    """The last ``size`` different items."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: dict[Item, None] = {}

    def add(self, item: Item) -> bool:
        """Add ``item``; return whether it is new, as far as is remembered."""
        if item in self._items:
            return False
        self._items[item] = None
        if len(self._items) > self._size:
            del self._items[next(iter(self._items))]
        return True

"""JSON pointers: https://www.rfc-editor.org/rfc/rfc6901."""

from collections.abc import Iterable


def join(parts: Iterable[str | int]) -> str:
    """Return the pointer to the value at ``parts``; the empty string points to the root."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def split(pointer: str) -> tuple[str, ...]:
    """Return the parts of ``pointer``; indexes stay text.

    Raises:
        ValueError: ``pointer`` is neither empty nor starts with a slash.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON pointer: start it with a slash")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))

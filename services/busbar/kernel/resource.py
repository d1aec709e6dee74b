"""The name of a resource: ``team/environment/promise/name``. It is its id and its Kafka key."""

import re
from dataclasses import dataclass

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""A DNS label (RFC 1123), the form of each part of a resource's name."""

_RESOURCE = re.compile("/".join([f"({SLUG})"] * 4))


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """The id of a resource; ``str()`` writes it and :meth:`parse` reads it."""

    team: str
    environment: str
    promise: str
    name: str

    def __str__(self) -> str:
        return f"{self.team}/{self.environment}/{self.promise}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ResourceId":
        """Read ``team/environment/promise/name``.

        Raises:
            ValueError: ``text`` does not have four parts that are DNS labels.
        """
        found = _RESOURCE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not a resource: write team/environment/promise/name, each of "
                "lower-case letters, digits and inner hyphens, at most 63 characters"
            )
        return cls(*found.groups())

    @staticmethod
    def is_one(text: str) -> bool:
        """Return whether :meth:`parse` accepts ``text``."""
        return _RESOURCE.fullmatch(text) is not None

    @classmethod
    def named_in(cls, data: object) -> "ResourceId | None":
        """Return the resource that an intent's data name, or None; other fields may be invalid."""
        if not isinstance(data, dict):
            return None
        named = [data.get(part) for part in cls.__slots__]
        parts = [part for part in named if isinstance(part, str)]
        if len(parts) != len(cls.__slots__):
            return None
        try:
            return cls.parse("/".join(parts))
        except ValueError:
            return None

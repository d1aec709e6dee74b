"""The name of a resource: ``team/environment/promise/name``. It is its id and its Kafka key."""

import re
from dataclasses import dataclass

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""A DNS label (RFC 1123): what every part of a resource's name has to be."""

_RESOURCE = re.compile("/".join([f"({SLUG})"] * 4))


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """One resource; ``str()`` gives the id, :meth:`parse` reads it."""

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
        """Whether :meth:`parse` would read ``text``."""
        return _RESOURCE.fullmatch(text) is not None

    @classmethod
    def named_in(cls, data: object) -> "ResourceId | None":
        """The resource that an intent's data name, if they do, whatever else is wrong with them."""
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

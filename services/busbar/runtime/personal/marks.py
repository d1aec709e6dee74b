"""The personal fields of every promise, read from the files of the catalogue.

The files are read for their marks only. Whether a promise is offered is for policy to say: the
personal fields of one that is broken are sealed all the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from busbar.kernel.json_schema import JsonObject
from busbar.kernel.personal_marks import Mark, marks_of
from busbar.runtime.core import documents
from busbar.runtime.core.document import InvalidDocumentError
from busbar.runtime.core.yaml_files import yaml_files


@dataclass(frozen=True, slots=True)
class PromiseMarks:
    """The personal fields by promise and version."""

    marks: Mapping[str, Mapping[str, tuple[Mark, ...]]] = field(default_factory=dict)

    def of(self, promise: object, version: object) -> tuple[Mark, ...]:
        """Return the personal fields of a spec for ``promise``.

        Where the version or the promise does not exist (it is misspelt), those of all count.
        """
        known = self.marks.get(promise) if isinstance(promise, str) else None
        if known is not None and isinstance(version, str) and version in known:
            return known[version]
        chosen = self.marks.values() if known is None else (known,)
        every = (mark for versions in chosen for marks in versions.values() for mark in marks)
        return tuple(dict.fromkeys(every))

    @property
    def any(self) -> bool:
        """Return whether a promise has personal fields."""
        return any(marks for versions in self.marks.values() for marks in versions.values())


def load_marks(paths: Iterable[Path]) -> PromiseMarks:
    """Return the personal fields of the promises in ``paths``, files and folders.

    Raises:
        ConfigurationError: a path does not exist or cannot be searched.
    """
    found: dict[str, dict[str, tuple[Mark, ...]]] = {}
    for path in yaml_files(paths, "BUSBAR_PROMISES"):
        for name, version, schema in _specs(path):
            versions = found.setdefault(name, {})
            versions[version] = (*versions.get(version, ()), *marks_of(schema))
    return PromiseMarks(found)


def _specs(path: Path) -> Iterable[tuple[str, str, JsonObject]]:
    """Yield promise, version and schema of each spec in the file, as far as it can be read."""
    try:
        data: Any = documents.read(path).data if path.is_file() else None
    except InvalidDocumentError:
        return
    if not isinstance(data, dict) or not isinstance(data.get("versions"), dict):
        return
    for version, content in data["versions"].items():
        schema = content.get("spec") if isinstance(content, dict) else None
        if isinstance(data.get("name"), str) and isinstance(schema, dict):
            yield data["name"], str(version), schema

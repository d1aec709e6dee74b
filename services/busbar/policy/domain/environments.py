"""The environments that intents can name, as a file declares them (``environments/v1``)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, StrictInt

from busbar.kernel.canonical import digest
from busbar.messages.base import Slug
from busbar.policy.domain.formatting import InputProblem
from busbar.policy.domain.promise import FileModel, Line


class Environment(FileModel):
    """One environment.

    ``order`` is its place on the way to production, the first one lowest; environments of one stage
    share it. ``labels`` are what rules can go by instead of names.
    """

    name: Slug
    title: Line
    order: StrictInt = Field(ge=0)
    labels: dict[Slug, Slug] = Field(default_factory=dict)


class EnvironmentsFile(FileModel):
    """The whole file. ``busbar`` marks the format."""

    busbar: Literal["environments/v1"]
    environments: tuple[Environment, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Environments:
    """The declared environments by name, in their order."""

    declared: Mapping[str, Environment] = field(default_factory=dict)

    @classmethod
    def of(cls, environments: Iterable[Environment]) -> "Environments":
        """Return ``environments``, ordered; their names differ."""
        ordered = sorted(environments, key=lambda one: (one.order, one.name))
        return cls({one.name: one for one in ordered})

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self.declared)

    @property
    def digest(self) -> str:
        """The digest of what decisions depend on: names and labels."""
        return digest({name: one.labels for name, one in self.declared.items()})

    def labels_of(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of an environment, or None if it is not declared."""
        found = self.declared.get(name)
        return None if found is None else found.labels


def problems_in(file: EnvironmentsFile) -> list[InputProblem]:
    """Return what is wrong with ``file``: names that are there twice."""
    names = [one.name for one in file.environments]
    return [
        InputProblem(
            ("environments", index, "name"),
            f"the environment {name} is declared twice",
            "remove one of them, or give it another name",
        )
        for index, name in enumerate(names)
        if name in names[:index]
    ]

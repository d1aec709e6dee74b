"""A promise: an offering of the catalogue, its versions, and what each version accepts.

The file models mirror the YAML (format ``promise/v1``); ``promise_checks`` has the other checks of
a file, which precede :func:`promise_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Literal

from jsonschema.protocols import Validator
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from busbar.kernel.canonical import digest
from busbar.messages.base import WHOLE, JsonObject, Slug
from busbar.messages.plan import Plan, PlanStep, PromiseRef
from busbar.messages.policy import Violation
from busbar.policy.domain import spec_errors
from busbar.policy.domain.schema import Defaults
from busbar.policy.domain.validator import validator_for

VersionName = Annotated[str, StringConstraints(pattern=r"^v[1-9][0-9]{0,5}$")]
OutputName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class FileModel(BaseModel):
    """A part of a file that people write; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepFile(FileModel):
    """One step of a plan; see ``messages.plan.PlanStep``."""

    name: Slug
    adapter: Slug
    inputs: JsonObject = Field(default_factory=dict)
    when: str | None = None
    ready_within_seconds: Annotated[StrictInt, Field(ge=1, le=3600), WHOLE] = 30


class ExampleFile(FileModel):
    """A spec that the version has to accept; checked when the file is loaded."""

    title: Line
    spec: JsonObject


class VersionFile(FileModel):
    """A version: the specs it accepts, and the plan that fulfils them."""

    spec: JsonObject
    outputs: dict[OutputName, str] = Field(default_factory=dict)
    plan: tuple[StepFile, ...] = Field(min_length=1)
    examples: tuple[ExampleFile, ...] = ()


class PromiseFile(FileModel):
    """The whole file. ``busbar`` marks the format."""

    busbar: Literal["promise/v1"]
    name: Slug
    title: Line
    description: str = ""
    owner: Slug
    versions: dict[VersionName, VersionFile] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseVersion:
    """A version of a promise, ready to validate specs."""

    promise: str
    version: str
    digest: str
    schema: JsonObject
    plan: Plan
    examples: tuple[ExampleFile, ...] = ()
    _validator: Validator = field(repr=False, compare=False)
    _defaults: Defaults = field(repr=False, compare=False)

    @property
    def ref(self) -> PromiseRef:
        """The reference to exactly this definition in facts."""
        return PromiseRef(name=self.promise, version=self.version, digest=self.digest)

    def with_defaults(self, spec: JsonObject) -> JsonObject:
        """Return ``spec`` with the schema's defaults filled in; ``spec`` is not changed."""
        filled: JsonObject = self._defaults.fill(spec)
        return filled

    def violations(
        self, spec: JsonObject, *, shown: JsonObject | None = None
    ) -> tuple[Violation, ...]:
        """Return the errors of ``spec``, whose defaults are filled in, against the schema.

        They quote ``shown``, the same spec without its personal values.
        """
        return spec_errors.violations(self._validator, spec, shown=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An offering of the catalogue."""

    name: str
    title: str
    description: str
    owner: str
    versions: Mapping[str, PromiseVersion]

    @property
    def newest(self) -> PromiseVersion:
        """The version with the highest number, for intents that name none."""
        return self.versions[max(self.versions, key=lambda version: int(version[1:]))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """The catalogue: the promises on offer, and those whose file is broken.

    ``broken`` maps the name of a promise, or the path of the file if the name cannot be read, to a
    sentence with the file, the place and the problem.
    """

    offered: Mapping[str, Promise] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def problem_of(self, name: str) -> str | None:
        """Return why ``name`` is not offered although there is a file for it, or None."""
        if name in self.offered:
            return None
        if name in self.broken:
            return self.broken[name]
        files = (file for file in sorted(self.broken) if PurePosixPath(file).stem == name)
        return next((self.broken[file] for file in files), None)


def promise_of(file: PromiseFile) -> Promise:
    """Return the promise in ``file``, which ``promise_checks.problems_in`` has accepted."""
    return Promise(
        name=file.name,
        title=file.title,
        description=file.description,
        owner=file.owner,
        versions={
            name: _version_of(file.name, name, version) for name, version in file.versions.items()
        },
    )


def _version_of(promise: str, name: str, file: VersionFile) -> PromiseVersion:
    plan = Plan(
        steps=tuple(PlanStep(**step.model_dump()) for step in file.plan),
        outputs=file.outputs,
    )
    # Titles and examples are left out: a change of their wording does not change the offering.
    definition = {
        "promise": promise,
        "version": name,
        "spec": file.spec,
        "plan": plan.model_dump(mode="json"),
    }
    return PromiseVersion(
        promise=promise,
        version=name,
        digest=digest(definition),
        schema=file.spec,
        plan=plan,
        examples=file.examples,
        _validator=validator_for(file.spec),
        _defaults=Defaults(file.spec, file.spec),
    )

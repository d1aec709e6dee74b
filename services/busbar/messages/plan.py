"""The plan of a promise: the steps that provision a resource, recorded in each decision."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from busbar.messages.base import JsonObject, Part, Slug

Action = Literal["apply", "delete"]

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class PlanStep(Part):
    """A step of a plan: an adapter and its inputs. Strings may hold ``${…}`` expressions."""

    name: Slug
    adapter: Slug = Field(description="The entry point in the group busbar.adapters.")
    inputs: JsonObject
    when: str | None = Field(
        default=None, description="An expression; the step is left out while it is false or absent."
    )
    ready_within_seconds: int = Field(
        default=30, ge=1, le=3600, description="Seconds within which the step must be ready."
    )


class PromiseRef(Part):
    """The promise and version that were requested, and the digest of the definition used."""

    name: Slug
    version: str
    digest: Digest


class Plan(Part):
    """The complete input of the provisioner, which reads no promise files itself."""

    steps: tuple[PlanStep, ...]
    outputs: dict[str, str] = Field(
        default_factory=dict, description="The expression of each output, by name."
    )

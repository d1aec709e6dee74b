"""The plan of a promise: the steps that make a resource real, pinned into every decision."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from busbar.messages.base import JsonObject, Part, Slug

Action = Literal["apply", "delete"]

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class PlanStep(Part):
    """One step: an adapter and the inputs it gets. Strings may hold ``${…}`` expressions."""

    name: Slug
    adapter: Slug = Field(description="The entry point in the group busbar.adapters.")
    inputs: JsonObject
    when: str | None = Field(
        default=None, description="An expression; the step is left out while it is false or absent."
    )
    ready_within_seconds: int = Field(
        default=30, ge=1, le=3600, description="How long the step may take to become ready."
    )


class PromiseRef(Part):
    """Which offering was asked for, and the digest of the very definition that was used."""

    name: Slug
    version: str
    digest: Digest


class Plan(Part):
    """Everything the provisioner needs; it reads no promise files of its own."""

    steps: tuple[PlanStep, ...]
    outputs: dict[str, str] = Field(
        default_factory=dict, description="Output name to the expression that gives its value."
    )

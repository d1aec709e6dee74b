"""What a plan may ask of a topic."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

LONGEST_NAME: Final = 249
"""Kafka's limit, so that name and partition fit a file name (org.apache.kafka…Topic)."""

MOST_PARTITIONS: Final = 10_000
"""Kafka's controller refuses to make more in one request (ReplicationControlManager)."""

MOST_HOURS: Final = 876_000
"""A hundred years."""

HOUR_MS: Final = 3_600_000

_LEGAL: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_NAME}}}")
_RESERVED: Final = ("busbar.", "__")


class InvalidInputs(Exception):
    """The inputs cannot be met whatever the cluster does. ``fields`` names the wrong ones."""

    def __init__(self, detail: str, *, fields: tuple[str, ...]) -> None:
        """Say what is wrong, in ``detail``, for people."""
        super().__init__(detail)
        self.fields = fields


def _name(value: str) -> str:
    if not _LEGAL.fullmatch(value) or value in {".", ".."}:
        raise PydanticCustomError(
            "topic_name",
            "a topic's name is 1 to 249 letters, digits, dots, hyphens and underscores",
        )
    if value.startswith(_RESERVED):
        raise PydanticCustomError(
            "reserved_name",
            "names that start with busbar. or __ belong to busbar and Kafka; choose another",
        )
    return value


class TopicInputs(BaseModel):
    """A topic as asked for.

    ``compacted`` keeps the newest record of every key for ever (``cleanup.policy=compact``);
    ``retention_hours`` then does not delete anything, and holds again once ``compacted`` is false.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_name)]
    partitions: Annotated[int, Field(ge=1, le=MOST_PARTITIONS)]
    replicas: Annotated[int, Field(ge=1, le=2**15 - 1)]
    retention_hours: Annotated[int, Field(ge=1, le=MOST_HOURS)]
    compacted: bool

    @property
    def settings(self) -> dict[str, str]:
        """The topic's settings that these inputs decide."""
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_hours * HOUR_MS),
        }


def read_inputs(inputs: Mapping[str, Any]) -> TopicInputs:
    """``inputs``, checked.

    Raises:
        InvalidInputs: they are not what :class:`TopicInputs` says.
    """
    try:
        return TopicInputs.model_validate(dict(inputs))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = {".".join(str(part) for part in one["loc"]): one["msg"] for one in found}
        detail = "; ".join(f"{field}: {message}" for field, message in wrong.items())
        raise InvalidInputs(
            f"{detail}. Correct the inputs of the step in the promise, or the spec they come from",
            fields=tuple(wrong),
        ) from error


def read_name(inputs: Mapping[str, Any]) -> str:
    """The name alone: enough to look and to remove, whatever became of the other rules since.

    Raises:
        InvalidInputs: it is missing, illegal or reserved; nothing of ours can be there.
    """
    try:
        return read_inputs(inputs).name
    except InvalidInputs as error:
        if "name" in error.fields:
            raise
        return str(inputs["name"])

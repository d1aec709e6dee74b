"""The inputs of a topic."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from busbar.backends.calls import InvalidInputs, parse_inputs

MAX_NAME_LENGTH: Final = 249
"""Kafka's limit, so that name and partition fit a file name (org.apache.kafka…Topic)."""

MAX_PARTITIONS: Final = 10_000
"""Kafka's controller refuses to create more in one request (ReplicationControlManager)."""

MAX_HOURS: Final = 876_000
"""A hundred years."""

HOUR_MS: Final = 3_600_000

_LEGAL: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME_LENGTH}}}")
_RESERVED: Final = ("busbar.", "__")


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
    """A topic as requested.

    ``compacted`` keeps the newest record of every key permanently (``cleanup.policy=compact``);
    ``retention_hours`` then deletes nothing, and takes effect again once ``compacted`` is false.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_name)]
    partitions: Annotated[int, Field(ge=1, le=MAX_PARTITIONS)]
    replicas: Annotated[int, Field(ge=1, le=2**15 - 1)]
    retention_hours: Annotated[int, Field(ge=1, le=MAX_HOURS)]
    compacted: bool

    @property
    def settings(self) -> dict[str, str]:
        """The topic settings that these inputs determine."""
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_hours * HOUR_MS),
        }


def read_inputs(inputs: Mapping[str, Any]) -> TopicInputs:
    """Return the validated inputs.

    Raises:
        InvalidInputs: :class:`TopicInputs` does not accept them.
    """
    return parse_inputs(TopicInputs, inputs)


def read_name(inputs: Mapping[str, Any]) -> str:
    """Return the name, which is enough to observe and to remove, even if other inputs are invalid.

    Raises:
        InvalidInputs: the name is missing, illegal or reserved; nothing of ours can have it.
    """
    try:
        return read_inputs(inputs).name
    except InvalidInputs as error:
        if "name" in error.fields:
            raise
        return str(inputs["name"])

"""IncrementalAlterConfigs (KIP-339), which aiokafka does not have.

aiokafka's AlterConfigs replaces *all* settings of a topic: if another client created a topic under
the name between our observation and the request, that topic would get our mark and later be
deleted as ours. This request changes only the settings that it names.

Format: ``IncrementalAlterConfigsRequest.json`` and ``…Response.json``, version 0, in Apache
Kafka's ``clients/src/main/resources/common/message``.
"""

from collections.abc import Mapping
from typing import Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

TOPIC: Final = 2
"""``ConfigResource.Type.TOPIC``."""

_SET: Final = 0
_KEY: Final = 44


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc] # aiokafka is untyped
    """One result per resource."""

    API_KEY = _KEY
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _IncrementalAlterConfigsRequest(RequestStruct):  # type: ignore[misc] # aiokafka is untyped
    API_KEY = _KEY
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class SetTopicSettings(Request[_IncrementalAlterConfigsRequest]):  # type: ignore[misc] # untyped
    """Sets the settings that it names and leaves all others unchanged."""

    API_KEY = _KEY

    def __init__(self, topic: str, settings: Mapping[str, str]) -> None:
        self._topic = topic
        self._settings = settings

    def build(
        self, request_struct_class: type[_IncrementalAlterConfigsRequest]
    ) -> _IncrementalAlterConfigsRequest:
        """Return the request as it is sent."""
        entries = [(name, _SET, value) for name, value in self._settings.items()]
        return request_struct_class([(TOPIC, self._topic, entries)], False)

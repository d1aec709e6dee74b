"""Outcomes of a broker's responses, with the remedy for each refusal.

Codes: https://kafka.apache.org/protocol#protocol_error_codes.
"""

from typing import Final

from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.cluster import Response
from busbar.backends.port import Outcome

NO_ERROR: Final = 0
UNKNOWN_TOPIC: Final = 3

_UNKNOWN_SERVER_ERROR: Final = -1
_REQUEST_TIMED_OUT: Final = 7
_TOPIC_ALREADY_EXISTS: Final = 36
_INVALID_REPLICATION_FACTOR: Final = 38
_INVALID_CONFIG: Final = 40
_POLICY_VIOLATION: Final = 44

_MAY_HAVE_HAPPENED: Final = {
    _UNKNOWN_SERVER_ERROR: "the broker failed during the request",
    UNKNOWN_TOPIC: "the topic disappeared in the meantime",
    _REQUEST_TIMED_OUT: "the broker ran out of time and may still do it",
    _TOPIC_ALREADY_EXISTS: "it was created in the meantime, perhaps by an earlier attempt",
}

_GRANT: Final = (
    "have the cluster's operator grant CREATE, ALTER, ALTER_CONFIGS and DELETE to busbar"
)
_PERMANENT: Final = {
    17: "choose another name; dots and underscores count as the same here",
    29: _GRANT,
    31: _GRANT,
    37: "ask for another number of partitions",
    _INVALID_REPLICATION_FACTOR: "ask for fewer replicas",
    39: "ask for fewer replicas",
    _INVALID_CONFIG: "change the setting that it names",
    42: "change the inputs that it names",
    _POLICY_VIOLATION: "follow the cluster's policy, or ask its operator to change it",
    73: "have the cluster's operator set delete.topic.enable=true",
}


def outcome_of_response(response: Response, *, doing: str) -> Outcome:
    """Return the outcome; ``doing`` completes "the broker refused to …"."""
    if response.code == NO_ERROR:
        return Outcome.done()
    message = response.message.rstrip(". ") or f"Kafka error {response.code}"
    if response.code in _MAY_HAVE_HAPPENED:
        why = _MAY_HAVE_HAPPENED[response.code]
        return Outcome.unknown("ambiguous", f"asked to {doing}; {why}: {message}")
    detail = f"the broker refused to {doing}: {message}. {_remedy(response)}."
    return Outcome.not_done("refused", detail, permanent=response.code in _PERMANENT)


def _remedy(response: Response) -> str:
    if response.code == _INVALID_REPLICATION_FACTOR:
        brokers = "1 broker" if response.brokers == 1 else f"{response.brokers} brokers"
        return f"The cluster has {brokers}: ask for at most {response.brokers} replica(s)"
    if response.code in {_INVALID_CONFIG, _POLICY_VIOLATION} and mark.SETTING in response.message:
        return f"This cluster has to permit {mark.SETTING}, busbar's mark ({mark.DECISION})"
    remedy = _PERMANENT.get(
        response.code, "busbar retries; if the error persists, see the broker's log"
    )
    return remedy[0].upper() + remedy[1:]

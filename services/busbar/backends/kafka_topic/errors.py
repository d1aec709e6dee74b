"""What a broker's answer means for a call, and what people can do about it.

Codes: https://kafka.apache.org/protocol#protocol_error_codes.
"""

from typing import Final

from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.cluster import Answer
from busbar.backends.port import Outcome

DONE: Final = 0
UNKNOWN_TOPIC: Final = 3

_UNKNOWN_SERVER_ERROR: Final = -1
_REQUEST_TIMED_OUT: Final = 7
_TOPIC_ALREADY_EXISTS: Final = 36
_INVALID_REPLICATION_FACTOR: Final = 38
_INVALID_CONFIG: Final = 40

_MAY_HAVE_HAPPENED: Final = {
    _UNKNOWN_SERVER_ERROR: "the broker failed while it did this",
    UNKNOWN_TOPIC: "the topic vanished meanwhile",
    _REQUEST_TIMED_OUT: "the broker ran out of time and may still do it",
    _TOPIC_ALREADY_EXISTS: "it was created meanwhile, perhaps by an earlier try of this call",
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
    44: "keep to the cluster's policy, or ask its operator to change it",
    73: "have the cluster's operator set delete.topic.enable=true",
}


def judge(answer: Answer, *, doing: str) -> Outcome:
    """The outcome; ``doing`` completes "the broker refused to …"."""
    if answer.code == DONE:
        return Outcome.done()
    said = answer.message.rstrip(". ") or f"Kafka error {answer.code}"
    if answer.code in _MAY_HAVE_HAPPENED:
        why = _MAY_HAVE_HAPPENED[answer.code]
        return Outcome.unknown("ambiguous", f"asked to {doing}; {why}: {said}")
    detail = f"the broker refused to {doing}: {said}. {_advice(answer)}."
    return Outcome.not_done("refused", detail, permanent=answer.code in _PERMANENT)


def _advice(answer: Answer) -> str:
    if answer.code == _INVALID_REPLICATION_FACTOR:
        brokers = "1 broker" if answer.brokers == 1 else f"{answer.brokers} brokers"
        return f"The cluster has {brokers}: ask for at most {answer.brokers} replica(s)"
    if answer.code in {_INVALID_CONFIG, 44} and mark.SETTING in answer.message:
        return f"busbar marks its topics by {mark.SETTING} (ADR 5); this cluster has to permit it"
    advice = _PERMANENT.get(answer.code, "it is tried again; if it stays, see the broker's log")
    return advice[0].upper() + advice[1:]

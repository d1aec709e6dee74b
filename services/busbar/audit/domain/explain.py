"""Explains an operation or a resource: its records as a chain of plain sentences."""

from collections.abc import Iterable
from dataclasses import dataclass

from busbar.audit.domain.records import AuditRecord
from busbar.messages import topics
from busbar.messages.catalogue import BY_TYPE, INTENT_TYPES, belongs
from busbar.messages.narrative import narrate, narrate_invalid


@dataclass(frozen=True, slots=True)
class Sentence:
    """One link of the chain, with the place of its record."""

    time: str
    text: str
    topic: str
    partition: int
    offset: int
    operation: str | None


def explain(records: Iterable[AuditRecord]) -> list[Sentence]:
    """Return the chain, oldest first; a record that was published twice appears once."""
    chain: dict[tuple[str, str, str], Sentence] = {}
    for record in records:
        text = _intent(record) if record.is_intent else _fact(record)
        if text is None:
            continue
        sentence = Sentence(
            record.time or record.recorded_time,
            text,
            record.topic,
            record.partition,
            record.offset,
            record.operation,
        )
        chain.setdefault((record.source, record.id, "" if record.is_intent else text), sentence)
    # At the same time, the intent comes before the facts that follow from it.
    return sorted(chain.values(), key=lambda link: (link.time, link.topic not in topics.INTENTS))


def _intent(record: AuditRecord) -> str | None:
    if not record.readable:
        return None
    known = record.type in INTENT_TYPES
    verb = record.type.rsplit(".", 2)[-2] if known else f"{record.type}, which is not an intent"
    resource = f" of {record.resource}" if record.resource else ""
    return f"{record.source} requested: {verb}{resource} (intent {record.id})."


def _fact(record: AuditRecord) -> str | None:
    """Return the sentence of a fact; one that this version cannot read is shown as such."""
    if not record.readable:
        return None  # it names no operation and no resource, so no chain can contain it
    fact = record.fact()
    if fact is not None:
        return narrate(fact)
    model = BY_TYPE.get(record.type)
    if model is None:
        problem = "this version of busbar does not know the type"
    elif not belongs(model, record.topic):
        problem = "the type does not belong on this topic"
    else:
        problem = "its data does not fit the type"
    return narrate_invalid(
        source=record.source, type_=record.type, topic=record.topic, problem=problem
    )

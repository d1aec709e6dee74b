"""The refusal of an event on an intents topic that does not take events of its type."""

from difflib import get_close_matches

from busbar.kernel.text import truncate
from busbar.messages.catalogue import BY_TYPE, INTENT_TYPES


def intents_of(topic: str) -> tuple[str, ...]:
    """Return the types of intent that ``topic`` takes, sorted."""
    return tuple(sorted(type_ for type_ in INTENT_TYPES if topic == BY_TYPE[type_].TOPIC))


def misplaced(type_: str, topic: str) -> tuple[str, str]:
    """Return why ``topic`` does not take events of ``type_``, and what to do instead."""
    message = BY_TYPE.get(type_)
    here = ", ".join(intents_of(topic))
    if message is None:
        shown = truncate(type_)
        close = get_close_matches(shown, INTENT_TYPES, n=1)
        known = f"known here are: {here}"
        if close and topic != BY_TYPE[close[0]].TOPIC:
            known = f"it belongs in {BY_TYPE[close[0]].TOPIC}; {known}"
        suggestion = f"did you mean {close[0]}? " if close else ""
        return f"{shown!r} is not a type of intent", suggestion + known
    if type_ in INTENT_TYPES:
        return (
            f"{type_} does not belong in {topic}",
            f"publish it to {message.TOPIC}; known here are: {here}",
        )
    return f"{type_} is a fact, not an intent", f"publish an intent; known here are: {here}"

"""The warning of a platform whose intents need no signature, which is for development only."""

from typing import Final

MEANING: Final = (
    "unsigned intents are accepted: everybody who can write to Kafka may ask for everything, under "
    "any source"
)
FIX: Final = "Unset BUSBAR_UNSIGNED_INTENTS and start the platform again."

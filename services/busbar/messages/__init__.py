"""The intents and facts, and the envelope that carries them. Pure: no I/O, no clock."""

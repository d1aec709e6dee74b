"""The strict CloudEvents 1.0.2 codec: ``kafka`` and ``http`` records to envelopes and back."""

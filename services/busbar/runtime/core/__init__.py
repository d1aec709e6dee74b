"""What every part of the runtime stands on: settings, clock, back-off, sealing, bus types."""

"""The only code that knows our bus, store, telemetry and environment."""

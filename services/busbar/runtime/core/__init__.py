"""The base of the runtime: settings, clock, backoff, encryption and the types of the bus."""

"""The command ``busbar``: a client of the gateway, and a supervisor of a local platform."""

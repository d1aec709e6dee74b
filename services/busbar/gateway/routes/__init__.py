"""The gateway's HTTP API: one module per resource, and the modules they share."""

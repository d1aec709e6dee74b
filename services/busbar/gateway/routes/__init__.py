"""The HTTP of the gateway: one module per resource, and what all of them share."""

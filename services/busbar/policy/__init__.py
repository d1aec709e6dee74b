"""The policy service: decides on every intent and records the decision."""

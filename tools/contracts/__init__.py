"""Contracts generated from the message models, and the gate that guards published schemas."""

"""Concepts that every part of busbar shares. Imports no other part and does no I/O."""

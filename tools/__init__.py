"""Generators and gates that need a checkout; not part of the wheel."""

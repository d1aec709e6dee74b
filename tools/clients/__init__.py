"""Generates clients of the HTTP API with public generators, to prove that they can."""

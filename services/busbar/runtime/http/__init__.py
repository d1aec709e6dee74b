"""Serving HTTP: the server, health and metrics endpoints, problem responses."""

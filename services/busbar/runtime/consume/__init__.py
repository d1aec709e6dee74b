"""Consuming records: engine, dispatch, parking, dead letters."""

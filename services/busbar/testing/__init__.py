"""Fakes, a clock and conformance suites for tests of adapters, promises and services."""

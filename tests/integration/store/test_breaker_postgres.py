"""The tests of `unit/runtime/test_breaker.py` on PostgreSQL."""

from unit.runtime.test_breaker import *  # noqa: F403 - the same tests, with this folder's store

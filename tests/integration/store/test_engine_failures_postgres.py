"""The tests of `unit/runtime/test_engine_failures.py` on PostgreSQL."""

from unit.runtime.test_engine_failures import *  # noqa: F403 - the same tests, with this folder's store

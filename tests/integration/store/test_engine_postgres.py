"""The tests of `unit/runtime/test_engine.py` on PostgreSQL."""

from unit.runtime.test_engine import *  # noqa: F403 - the same tests, with this folder's store

"""The tests of `unit/runtime/test_taking.py` on PostgreSQL."""

from unit.runtime.test_taking import *  # noqa: F403 - the same tests, with this folder's store

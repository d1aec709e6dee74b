"""The tests of `unit/runtime/test_drain.py` on PostgreSQL."""

from unit.runtime.test_drain import *  # noqa: F403 - the same tests, with this folder's store

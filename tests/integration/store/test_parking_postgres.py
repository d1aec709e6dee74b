"""The tests of `unit/runtime/test_parking.py` on PostgreSQL."""

from unit.runtime.test_parking import *  # noqa: F403 - the same tests, with this folder's store

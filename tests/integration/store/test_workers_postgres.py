"""The tests of `unit/runtime/test_workers.py` on PostgreSQL."""

from unit.runtime.test_workers import *  # noqa: F403 - the same tests, with this folder's store

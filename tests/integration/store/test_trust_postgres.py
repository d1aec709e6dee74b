"""The tests of `unit/runtime/test_trust.py` on PostgreSQL."""

from unit.runtime.test_trust import *  # noqa: F403 - the same tests, with this folder's store

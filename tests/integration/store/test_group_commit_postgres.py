"""The tests of `unit/runtime/test_group_commit.py` on PostgreSQL."""

from unit.runtime.test_group_commit import *  # noqa: F403 - the same tests, with this folder's store

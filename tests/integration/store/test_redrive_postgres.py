"""The tests of `unit/runtime/test_redrive.py` on PostgreSQL."""

from unit.runtime.test_redrive import *  # noqa: F403 - the same tests, with this folder's store

"""The tests of `unit/runtime/test_together.py` on PostgreSQL."""

from unit.runtime.test_together import *  # noqa: F403 - the same tests, with this folder's store

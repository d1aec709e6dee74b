"""The tests of `unit/runtime/test_store_tasks.py` on PostgreSQL."""

from unit.runtime.test_store_tasks import *  # noqa: F403 - the same tests, with this folder's store

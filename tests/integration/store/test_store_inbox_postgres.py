"""The tests of `unit/runtime/test_store_inbox.py` on PostgreSQL."""

from unit.runtime.test_store_inbox import *  # noqa: F403 - the same tests, with this folder's store

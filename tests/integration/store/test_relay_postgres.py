"""The tests of `unit/runtime/test_relay.py` on PostgreSQL."""

from unit.runtime.test_relay import *  # noqa: F403 - the same tests, with this folder's store

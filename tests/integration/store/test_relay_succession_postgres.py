"""The tests of `unit/runtime/test_relay_succession.py` on PostgreSQL."""

from unit.runtime.test_relay_succession import *  # noqa: F403 - the same tests, with this folder's store

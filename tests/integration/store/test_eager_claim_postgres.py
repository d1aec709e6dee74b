"""The tests of `unit/runtime/test_eager_claim.py` on PostgreSQL."""

from unit.runtime.test_eager_claim import *  # noqa: F403 - the same tests, with this folder's store

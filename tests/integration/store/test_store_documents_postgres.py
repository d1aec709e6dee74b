"""The tests of `unit/runtime/test_store_documents.py` on PostgreSQL."""

from unit.runtime.test_store_documents import *  # noqa: F403 - the same tests, with this folder's store

"""The tests of `unit/runtime/test_store_machines.py` on PostgreSQL."""

from unit.runtime.test_store_machines import (
    test_streams_are_as_the_model_says,
    test_tasks_are_as_the_model_says,
)

__all__ = ["test_streams_are_as_the_model_says", "test_tasks_are_as_the_model_says"]

"""The life of an intent on PostgreSQL, where each service runs in two instances."""

from e2e.test_life_of_an_intent import LifeOfAnIntent


class TestOnTwoInstances(LifeOfAnIntent):
    """On the platform that this folder shares."""

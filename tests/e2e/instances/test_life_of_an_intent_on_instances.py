from e2e.test_life_of_an_intent import *  # noqa: F403 - the same life, on PostgreSQL in two instances

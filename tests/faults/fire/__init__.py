"""Scenarios with real processes on a real Kafka and a real PostgreSQL, under load.

Each takes a seed, which decides moments and victims, and gives the row of the report. What it
finds wrong it says on standard error, a line each.
"""

from collections.abc import Callable, Mapping

from faults.fire import kills
from faults.fire.run import scenario
from faults.report import Row

FIRE: Mapping[str, Callable[[int], Row]] = {
    "kill-9": scenario("kill-9", kills.kill_nine(30)),
    "broker-restart": scenario("broker-restart", kills.broker_restart(2)),
    "database-crash": scenario("database-crash", kills.database_crash(3)),
}

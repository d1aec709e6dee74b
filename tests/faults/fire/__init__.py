"""Scenarios with real processes on a real Kafka and a real PostgreSQL, under load.

Each takes a seed, which decides times and victims, and gives the row of the report. What it
finds wrong it says on standard error, a line each.
"""

from collections.abc import Callable, Mapping

from faults.fire import disk, failover, kills, links, members, older, pause, peers, replays
from faults.fire.run import scenario
from faults.report import Row

FIRE: Mapping[str, Callable[[int], Row]] = {
    "kill-9": scenario("kill-9", kills.kill_nine(30)),
    "pause": scenario("pause", pause.pause(2), links=("databases",), streams=0, databases=0),
    "broker-restart": scenario("broker-restart", kills.broker_restart(2)),
    "database-crash": scenario("database-crash", kills.database_crash(3)),
    "lost-answer": scenario("lost-answer", links.lost_answer(12), links=("databases",)),
    "cut-link": scenario("cut-link", links.cut_link(), links=("store", "broker", "databases")),
    "unreachable-peers": scenario(
        "unreachable-peers",
        peers.unreachable_peers(200),
        instances=1,
        apart=True,
        longest=2400,
    ),
    "failover": scenario("failover", failover.failover(6), instances=1, apart=True),
    "disk-full": disk.disk_full,
    "paused-members": members.paused_members,
    "old-and-new": scenario("old-and-new", older.side_by_side(150), instances=1, databases=0),
    "replayed-topics": scenario("replayed-topics", replays.replayed()),
}

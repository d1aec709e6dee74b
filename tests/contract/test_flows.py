"""Services publish and subscribe to what they declare: seen in the log of the simulation."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from busbar.messages import topics
from busbar.messages.catalogue import BY_TYPE
from faults.scenarios import ALL
from faults.simulation import SERVICES, Simulation, simulated
from faults.verdict import judge
from tools.contracts.services import declared, senders

SCENARIOS = ("failing-apply", "delete")
"""Together they have every service publish on each of its topics."""
RARE = {topics.INTENTS_DEAD_LETTER, topics.INTENTS_IDENTITY, *topics.DEAD_LETTERS}
"""Topics that stay empty while nothing goes wrong."""


class Published(NamedTuple):
    relay: str
    topic: str
    type: str
    key: str


class Run(NamedTuple):
    published: frozenset[Published]
    subscribed: dict[str, set[str]]


@pytest.fixture(scope="module", params=SCENARIOS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One scenario from its beginning to its end."""
    root: Path = tmp_path_factory.mktemp("simulation")
    with simulated():
        simulation = Simulation(ALL[request.param], seed=1, root=root)
        simulation.prepare()
        simulation.run(simulation.scenario.asked)
        findings = judge(simulation).sentences()
        assert [found for found in findings.values() if found] == []
        return Run(published_in(simulation), subscribed_in(simulation))


def published_in(simulation: Simulation) -> frozenset[Published]:
    found = set()
    for (topic, _), log in simulation.broker.logs.items():
        for record in log:
            headers = {name: (value or b"").decode() for name, value in record.headers}
            key = (record.key or b"").decode()
            relay = headers.get("ce_relay") or headers["ce_source"].removeprefix("/busbar/")
            found.add(Published(relay, topic, headers["ce_type"], key))
    return frozenset(found)


def subscribed_in(simulation: Simulation) -> dict[str, set[str]]:
    return {
        name.removeprefix("busbar."): {topic for topic, _ in group.owner}
        for name, group in simulation.broker._groups.items()
    }


def test_services_publish_only_what_they_declare(run: Run) -> None:
    for each in run.published:
        assert each.relay in senders(each.topic, BY_TYPE[each.type]), each


def test_services_subscribe_to_what_they_declare(run: Run) -> None:
    assert run.subscribed == {name: set(declared(name).topics) for name in SERVICES}


def test_the_keys_of_records_are_what_their_topic_says(run: Run) -> None:
    for each in run.published:
        pattern = topics.key_of(each.topic).pattern
        assert pattern is None or re.search(pattern, each.key), each


def test_no_service_declares_a_topic_that_it_never_publishes_on(run: Run) -> None:
    declared_ = {
        (name, message.TOPIC)
        for name in SERVICES
        for message in declared(name).emits
        if message.TOPIC not in RARE
    }
    assert declared_ <= {(each.relay, each.topic) for each in run.published}

"""Creates topics, marks them as ours, and touches no others."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from busbar.backends.calls import InvalidInputs, Refused, observation_of, outcome_of
from busbar.backends.declaration import Declaration
from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.cluster import Cluster, Topic
from busbar.backends.kafka_topic.errors import NO_ERROR, UNKNOWN_TOPIC, outcome_of_response
from busbar.backends.kafka_topic.inputs import HOUR_MS, TopicInputs, read_inputs, read_name
from busbar.backends.port import (
    BackendUnavailable,
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
    Result,
)

_POLL_SECONDS: Final = 0.01
_MAX_POLL_SECONDS: Final = 0.2


class KafkaTopicBackend:
    """The adapter ``kafka-topic``.

    Inputs: ``name``, ``partitions``, ``replicas``, ``retention_hours``, ``compacted``
    (:class:`TopicInputs`). Outputs: ``name``, ``partitions``, ``retention_hours``.

    Partitions can be added, but not removed, and replicas cannot change: both end as
    ``cannot_change``. For the same reason added partitions cannot be undone. A topic is ready when
    every partition has a leader and a replica in sync.

    Unfenced: Kafka's requests carry no version or epoch of ours. Creation is conditional on
    absence, because Kafka refuses a name that is taken; only creation writes the mark, and nothing
    moves it. Changes and deletions check the mark immediately before, but a process that is paused
    between the check and the request is limited only by the call's timeout, which is shorter than
    its lease. A request that a broker or the controller has taken is carried out late if they
    hang: ``acts_late_seconds`` after the call's timeout, at most.
    """

    fencing: Fencing = Fencing.UNFENCED
    acts_late_seconds: Final = 30.0
    declaration: Final = Declaration(
        inputs=TopicInputs,
        outputs={"name": "string", "partitions": "integer", "retention_hours": "number"},
        losses={"retention_hours": "lowered", "compacted": "switched on"},
    )

    def __init__(self, environment: Environment) -> None:
        """Use the cluster of ``environment``, connected on first use."""
        self._cluster = Cluster(environment.kafka_bootstrap)

    async def observe(self, call: Call) -> Observation:
        """Return the state of the topic. No topic of ours can have an invalid name.

        Raises:
            BackendUnavailable: the cluster does not answer.
        """
        return await observation_of(self._observe, call)

    async def apply(self, call: Call) -> Outcome:
        """Create the topic with its settings and our mark in one request, or change ours."""
        return await outcome_of(self._apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Delete the topic if it is ours, and wait until it is gone."""
        return await outcome_of(self._remove, call)

    async def close(self) -> None:
        """Disconnect."""
        await self._cluster.close()

    async def _observe(self, call: Call, until: float) -> Observation:
        name = read_name(call.inputs)
        return _observation(call, name, await self._cluster.describe(name, until=until))

    async def _apply(self, call: Call, until: float) -> Outcome:
        inputs = read_inputs(call.inputs)
        topic = await self._cluster.describe(inputs.name, until=until)
        if topic is None:
            return await self._create(call, inputs, until)
        _require_ours(_observation(call, inputs.name, topic))
        _require_changeable(inputs, topic)
        return await self._update(inputs, topic, until)

    async def _create(self, call: Call, inputs: TopicInputs, until: float) -> Outcome:
        response = await self._cluster.create(
            inputs.name,
            partitions=inputs.partitions,
            replicas=inputs.replicas,
            settings={**inputs.settings, mark.SETTING: str(mark.mark_of(call.owner))},
            until=until,
        )
        outcome = outcome_of_response(response, doing=f"create the topic {inputs.name}")
        if outcome.result is Result.DONE:
            # The controller has it; the broker that we query may learn of it a little later.
            await self._wait_until(inputs.name, lambda topic: topic is not None, until)
        return outcome

    async def _update(self, inputs: TopicInputs, topic: Topic, until: float) -> Outcome:
        """Change settings first: they can be undone if more partitions are then refused."""
        name = inputs.name
        if _settings_differ(inputs, topic):
            response = await self._cluster.alter_settings(name, inputs.settings, until=until)
            if response.code != NO_ERROR:
                doing = f"change the settings of the topic {name}"
                return outcome_of_response(response, doing=doing)
        if inputs.partitions > topic.partitions:
            response = await self._cluster.add_partitions(name, inputs.partitions, until=until)
            if response.code != NO_ERROR:
                return outcome_of_response(response, doing=f"add partitions to the topic {name}")
        await self._wait_until(name, lambda now: now is None or not _differs(inputs, now), until)
        return Outcome.done()

    async def _remove(self, call: Call, until: float) -> Outcome:
        name = read_name(call.inputs)
        seen = _observation(call, name, await self._cluster.describe(name, until=until))
        if seen.presence is Presence.ABSENT:
            return Outcome.done()
        _require_ours(seen)
        response = await self._cluster.delete(name, until=until)
        if response.code not in {NO_ERROR, UNKNOWN_TOPIC}:
            return outcome_of_response(response, doing=f"delete the topic {name}")
        own = mark.mark_of(call.owner)
        if await self._wait_until(name, lambda topic: topic is None or topic.mark != own, until):
            return Outcome.done()
        return Outcome.unknown(
            "timeout", f"the broker accepted to delete the topic {name}, but it still exists"
        )

    async def _wait_until(
        self, name: str, condition: Callable[[Topic | None], bool], until: float
    ) -> bool:
        """Poll the topic until it meets the condition; False if there is no answer in time."""
        loop, pause = asyncio.get_running_loop(), _POLL_SECONDS
        while loop.time() < until:
            try:
                if condition(await self._cluster.describe(name, until=until)):
                    return True
            except BackendUnavailable:
                return False  # what was confirmed stays confirmed; the caller observes anyway
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_POLL_SECONDS)
        return False


def _observation(call: Call, name: str, topic: Topic | None) -> Observation:
    if topic is None:
        return Observation(presence=Presence.ABSENT)
    if topic.mark != mark.mark_of(call.owner):
        is_mark = mark.is_mark(topic.mark)
        whose = "carries the mark of another owner" if is_mark else "has no mark of busbar"
        return Observation(
            presence=Presence.FOREIGN,
            detail=f"the topic {name} exists and {whose} (how to adopt it: {mark.DECISION})",
        )
    return Observation(
        presence=Presence.OURS,
        ready=topic.unready == 0,
        differs=_fields_that_differ(call, topic),
        outputs=_outputs(name, topic),
        detail=f"{topic.unready} of {topic.partitions} partitions have no leader or no replica in "
        "sync"
        if topic.unready
        else "",
    )


def _fields_that_differ(call: Call, topic: Topic) -> tuple[str, ...]:
    try:
        return _differs(read_inputs(call.inputs), topic)
    except InvalidInputs as error:
        return error.fields  # apply() explains what is wrong with them


def _differs(inputs: TopicInputs, topic: Topic) -> tuple[str, ...]:
    same = {
        "partitions": topic.partitions == inputs.partitions,
        "replicas": topic.replicas == {inputs.replicas},
        "retention_hours": topic.retention_ms == inputs.retention_hours * HOUR_MS,
        "compacted": topic.policies == {inputs.settings["cleanup.policy"]},
    }
    return tuple(field for field, equal in same.items() if not equal)


def _settings_differ(inputs: TopicInputs, topic: Topic) -> bool:
    return not {"retention_hours", "compacted"}.isdisjoint(_differs(inputs, topic))


def _outputs(name: str, topic: Topic) -> dict[str, Any]:
    whole, rest = divmod(topic.retention_ms, HOUR_MS)
    hours = topic.retention_ms / HOUR_MS if rest else whole
    return {"name": name, "partitions": topic.partitions, "retention_hours": hours}


def _require_ours(seen: Observation) -> None:
    if seen.presence is Presence.FOREIGN:
        raise Refused(seen.detail, reason="not_ours")


def _require_changeable(inputs: TopicInputs, topic: Topic) -> None:
    if inputs.partitions < topic.partitions:
        raise Refused(
            f"the topic {inputs.name} has {topic.partitions} partitions, and Kafka cannot remove "
            f"any, since their records would be lost: ask for at least {topic.partitions}, or for "
            "a topic with another name",
            reason="cannot_change",
        )
    if topic.replicas != {inputs.replicas}:
        now = " or ".join(str(count) for count in sorted(topic.replicas))
        raise Refused(
            f"the topic {inputs.name} has {now} replica(s) of every partition, not "
            f"{inputs.replicas}, and busbar does not move replicas: keep the number, or have the "
            "cluster's operator reassign them (kafka-reassign-partitions.sh) first",
            reason="cannot_change",
        )

"""Makes topics, marks them as ours, and touches no others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from busbar.backends.kafka_topic import mark
from busbar.backends.kafka_topic.cluster import AnswerLost, Cluster, Topic
from busbar.backends.kafka_topic.errors import DONE, UNKNOWN_TOPIC, judge
from busbar.backends.kafka_topic.inputs import (
    HOUR_MS,
    InvalidInputs,
    TopicInputs,
    read_inputs,
    read_name,
)
from busbar.backends.port import (
    UNAVAILABLE,
    BackendUnavailable,
    Call,
    Environment,
    Fencing,
    Observation,
    Outcome,
    Presence,
    Result,
)

_SHARE: Final = 0.9
"""Of a call's timeout: our own answer, which knows whether anything was sent, has to come before
the caller stops waiting."""

_POLL: Final = 0.01
_SLOWEST_POLL: Final = 0.2

_Act = Callable[[Call, float], Awaitable[Outcome]]


class KafkaTopicBackend:
    """The adapter ``kafka-topic``.

    Inputs: ``name``, ``partitions``, ``replicas``, ``retention_hours``, ``compacted``
    (:class:`TopicInputs`). Outputs: ``name``, ``partitions``, ``retention_hours``.

    Partitions can grow, never shrink, and replicas cannot change: both are ``cannot_change``. So
    growing cannot be undone either. Ready means that every partition has a leader and a replica
    in sync.

    Unfenced: Kafka's requests carry no version or epoch of ours. Creation is conditional on
    absence, because Kafka refuses a name that is taken; the mark is written by creation only and
    never moved. Altering and deleting look at the mark right before, but a process that was
    paused between the look and the request is held back only by the call's timeout being shorter
    than its lease.
    """

    fencing: Fencing = Fencing.UNFENCED

    def __init__(self, environment: Environment) -> None:
        """Use the cluster of ``environment``; it is connected to when first needed."""
        self._cluster = Cluster(environment.kafka_bootstrap)

    async def observe(self, call: Call) -> Observation:
        """Look, change nothing. Under a name that no topic of ours can have nothing is looked for.

        Raises:
            BackendUnavailable: the cluster does not answer.
        """
        try:
            name = read_name(call.inputs)
        except InvalidInputs as error:
            return Observation(presence=Presence.ABSENT, detail=str(error))
        topic = await self._cluster.look(name, until=_deadline(call))
        return _observation(call, name, topic)

    async def apply(self, call: Call) -> Outcome:
        """Create the topic with all its settings and our mark at once, or alter ours."""
        return await _answered(self._apply, call)

    async def remove(self, call: Call) -> Outcome:
        """Delete the topic if it is ours, and wait until it is gone."""
        return await _answered(self._remove, call)

    async def close(self) -> None:
        """Disconnect."""
        await self._cluster.close()

    async def _apply(self, call: Call, until: float) -> Outcome:
        inputs = read_inputs(call.inputs)
        topic = await self._cluster.look(inputs.name, until=until)
        if topic is None:
            return await self._create(call, inputs, until)
        seen = _observation(call, inputs.name, topic)
        if seen.presence is Presence.FOREIGN:
            return _not_ours(seen)
        return _cannot_change(inputs, topic) or await self._alter(inputs, topic, until)

    async def _create(self, call: Call, inputs: TopicInputs, until: float) -> Outcome:
        answer = await self._cluster.create(
            inputs.name,
            partitions=inputs.partitions,
            replicas=inputs.replicas,
            settings={**inputs.settings, mark.SETTING: str(mark.mark_of(call.owner))},
            until=until,
        )
        outcome = judge(answer, doing=f"create the topic {inputs.name}")
        if outcome.result is Result.DONE:
            # The controller has it; the broker that we ask may learn of it a moment later.
            await self._watch(inputs.name, lambda topic: topic is not None, until)
        return outcome

    async def _alter(self, inputs: TopicInputs, topic: Topic, until: float) -> Outcome:
        """Settings first: they can be undone if more partitions are then refused."""
        name = inputs.name
        if _settings_differ(inputs, topic):
            answer = await self._cluster.set(name, inputs.settings, until=until)
            if answer.code != DONE:
                return judge(answer, doing=f"change the settings of the topic {name}")
        if inputs.partitions > topic.partitions:
            answer = await self._cluster.grow(name, inputs.partitions, until=until)
            if answer.code != DONE:
                return judge(answer, doing=f"add partitions to the topic {name}")
        await self._watch(name, lambda now: now is None or not _differs(inputs, now), until)
        return Outcome.done()

    async def _remove(self, call: Call, until: float) -> Outcome:
        name = read_name(call.inputs)
        seen = _observation(call, name, await self._cluster.look(name, until=until))
        if seen.presence is Presence.ABSENT:
            return Outcome.done()
        if seen.presence is Presence.FOREIGN:
            return _not_ours(seen)
        answer = await self._cluster.delete(name, until=until)
        if answer.code not in {DONE, UNKNOWN_TOPIC}:
            return judge(answer, doing=f"delete the topic {name}")
        own = mark.mark_of(call.owner)
        if await self._watch(name, lambda topic: topic is None or topic.mark != own, until):
            return Outcome.done()
        return Outcome.unknown(
            "timeout", f"the broker accepted to delete the topic {name}, which is still there"
        )

    async def _watch(
        self, name: str, arrived: Callable[[Topic | None], bool], until: float
    ) -> bool:
        """Look until the topic is as expected; False if time runs out or nobody answers."""
        loop, pause = asyncio.get_running_loop(), _POLL
        while loop.time() < until:
            try:
                if arrived(await self._cluster.look(name, until=until)):
                    return True
            except BackendUnavailable:
                return False  # what was confirmed stays confirmed; the caller observes anyway
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST_POLL)
        return False


async def _answered(act: _Act, call: Call) -> Outcome:
    try:
        return await act(call, _deadline(call))
    except InvalidInputs as error:
        return Outcome.not_done("invalid_inputs", str(error), permanent=True)
    except BackendUnavailable as error:
        return Outcome.not_done(UNAVAILABLE, str(error), permanent=False)
    except AnswerLost as error:
        return Outcome.unknown("answer_lost", str(error))


def _deadline(call: Call) -> float:
    return asyncio.get_running_loop().time() + call.timeout * _SHARE


def _observation(call: Call, name: str, topic: Topic | None) -> Observation:
    if topic is None:
        return Observation(presence=Presence.ABSENT)
    if topic.mark != mark.mark_of(call.owner):
        whose = "carries the mark of another owner" if mark.is_mark(topic.mark) else "has no mark"
        return Observation(
            presence=Presence.FOREIGN,
            detail=f"the topic {name} exists and {whose}: choose another name, or adopt it (ADR 5)",
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
        return error.fields  # nothing is like what cannot be; apply() says why


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


def _not_ours(seen: Observation) -> Outcome:
    return Outcome.not_done("not_ours", seen.detail, permanent=True)


def _cannot_change(inputs: TopicInputs, topic: Topic) -> Outcome | None:
    if inputs.partitions < topic.partitions:
        return Outcome.not_done(
            "cannot_change",
            f"the topic {inputs.name} has {topic.partitions} partitions and Kafka cannot take any "
            f"away, since their records would be lost: ask for at least {topic.partitions}, or for "
            "a topic under another name",
            permanent=True,
        )
    if topic.replicas != {inputs.replicas}:
        now = " or ".join(str(count) for count in sorted(topic.replicas))
        return Outcome.not_done(
            "cannot_change",
            f"the topic {inputs.name} has {now} replica(s) of every partition, not "
            f"{inputs.replicas}, and busbar does not move replicas: keep the number, or have the "
            "cluster's operator reassign them (kafka-reassign-partitions.sh) first",
            permanent=True,
        )
    return None

"""Reading facts: the topics may interleave as they like, the views come out the same."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.ids import operation_id
from busbar.messages.base import Fact
from busbar.messages.catalogue import FACTS
from busbar.messages.delivery import DeadLettered
from busbar.messages.intervention import Intervened, InterventionAllowed, ResourceReleased
from busbar.messages.notification import (
    DeliveriesResent,
    Subscribed,
    SubscriptionRefused,
    SubscriptionTestRequested,
    Unsubscribed,
    WebhookAttempted,
    WebhookDelivered,
    WebhookExhausted,
)
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
from busbar.messages.request import RequestAllowed
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.messages.views import (
    ENDED,
    OperationView,
    ResourceView,
    evolve_operation,
    evolve_resource,
)
from busbar.messages.webhooks import MAX_ATTEMPTS, evolve_delivery

OPERATION = str(operation_id("urn:team:payments", "1"))
OTHER = str(operation_id("urn:team:payments", "2"))
ORDERS = "payments/dev/event-stream/orders"


def fact(model: type[Fact], **fields: Any) -> Fact:
    about = {"operation": OPERATION, "resource": ORDERS}
    known = {name: value for name, value in about.items() if name in model.model_fields}
    return model.model_validate({**model.EXAMPLES[0], **known, **fields})


Timed = tuple[Fact, str]


def operation(facts: Iterable[Timed]) -> OperationView | None:
    view: OperationView | None = None
    for item, time in facts:
        view = evolve_operation(view, item, time=time)
    return view


def resource(facts: Iterable[Timed], view: ResourceView | None = None) -> ResourceView | None:
    for item, time in facts:
        view = evolve_resource(view, item, time=time)
    return view


STEPS = st.lists(
    st.builds(
        fact,
        st.sampled_from([StepStarted, StepSucceeded, StepFailed, StepUndone]),
        step=st.sampled_from(["topic", "dead-letters", "third"]),
    ),
    max_size=8,
)
ENDS = st.sampled_from(
    [
        [fact(ResourceProvisioned)],
        [fact(ResourceDeleted)],
        [fact(ResourceFailed)],
        [fact(ResourceStuck)],
        [fact(ResourceStuck), fact(ResourceProvisioned)],
        [fact(ResourceStuck), fact(ResourceFailed)],
        [],
    ]
)
REFUSALS: list[type[Fact]] = [IntentDenied, IntentExpired]
CONFLICTS = st.integers(0, 3).map(lambda count: [fact(IntentConflicted)] * count)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Timed], list[Timed]]:
    """The facts of policy and of the provisioner about one operation, each in its own order."""
    times = iter(sorted(draw(st.lists(st.integers(0, 999), min_size=30, max_size=30))))

    def timed(facts: Iterable[Fact]) -> list[Timed]:
        return [(item, f"2026-01-01T00:00:00.{next(times):06d}Z") for item in facts]

    if draw(st.booleans()):
        verdict = draw(st.sampled_from(REFUSALS))
        return timed([fact(verdict), *draw(CONFLICTS)]), []
    judged = [fact(IntentAllowed), *draw(CONFLICTS)]
    made = [fact(ResourceQueued), *draw(STEPS), *draw(ENDS)]
    return timed(judged), timed(made)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Timed], list[Timed], list[Timed]]:
    """Both histories, and one way in which a consumer may come to read them."""
    first, second = draw(histories())
    from_first = draw(st.permutations([True] * len(first) + [False] * len(second)))
    left, right = iter(first), iter(second)
    return first, second, [next(left) if taken else next(right) for taken in from_first]


@given(interleaved())
def test_an_operation_looks_the_same_however_its_topics_interleave(
    drawn: tuple[list[Timed], list[Timed], list[Timed]],
) -> None:
    policy, provisioner, mixed = drawn
    assert operation(mixed) == operation([*policy, *provisioner])


REFUSED = DeadLettered.model_validate({**DeadLettered.EXAMPLES[1], "operation": OPERATION})


@given(interleaved(), st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_a_record_that_could_not_be_read_changes_nothing_once_one_could(
    drawn: tuple[list[Timed], list[Timed], list[Timed]], places: list[int]
) -> None:
    mixed = drawn[2]
    expected = operation(mixed)
    disturbed = list(mixed)
    for place in places:
        disturbed.insert(place, (REFUSED, "2026-01-01T00:00:00.000500Z"))
    assert operation(disturbed) == expected


def test_a_record_that_could_not_be_read_is_denied_and_shows_what_it_claims() -> None:
    view = operation([(REFUSED, "t1"), (REFUSED, "t2")])
    assert view is not None
    assert (view.id, view.status, view.ended) == (OPERATION, "denied", True)
    assert (view.reason, view.dead_letter, view.updated) == (
        REFUSED.reason,
        REFUSED.dead_letter,
        "t1",
    )
    assert view.intent == DeadLettered.EXAMPLES[1]["intent"]


@given(interleaved())
def test_a_resource_looks_the_same_however_its_topics_interleave(
    drawn: tuple[list[Timed], list[Timed], list[Timed]],
) -> None:
    _, provisioner, mixed = drawn
    assert resource(mixed) == resource(provisioner)


def interleavings(left: Sequence[Timed], right: Sequence[Timed]) -> list[list[Timed]]:
    if not left or not right:
        return [[*left, *right]]
    return [[left[0], *rest] for rest in interleavings(left[1:], right)] + [
        [right[0], *rest] for rest in interleavings(left, right[1:])
    ]


def test_all_interleavings_of_a_whole_life_agree() -> None:
    policy = [(fact(IntentAllowed), "t1"), (fact(IntentConflicted), "t5")]
    made: tuple[type[Fact], ...] = (
        ResourceQueued,
        StepStarted,
        StepSucceeded,
        ResourceProvisioned,
    )
    provisioner = [(fact(model), f"t{number}") for number, model in enumerate(made, start=2)]
    ways = interleavings(policy, provisioner)
    assert len(ways) == 15
    for way in ways:
        view = operation(way)
        assert view is not None
        assert view == operation([*policy, *provisioner])
        assert (view.status, view.conflicts, view.updated) == ("succeeded", 1, "t5")
        assert view.intent == IntentAllowed.EXAMPLES[0]["intent"]


@given(interleaved(), st.data())
def test_a_fact_that_is_folded_twice_in_a_row_changes_nothing_but_the_count_of_conflicts(
    drawn: tuple[list[Timed], list[Timed], list[Timed]], data: st.DataObject
) -> None:
    mixed = drawn[2]
    index = data.draw(st.integers(0, len(mixed) - 1))
    twice = [*mixed[: index + 1], *mixed[index:]]
    once = operation(mixed)
    again = operation(twice)
    assert once is not None
    assert again is not None
    if not isinstance(mixed[index][0], IntentConflicted):
        assert again == once
    assert resource(twice) == resource(mixed)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ((IntentDenied,), "denied"),
        ((IntentExpired,), "expired"),
        ((IntentAllowed,), "running"),
        ((IntentAllowed, ResourceQueued), "running"),
        ((IntentAllowed, ResourceProvisioned), "succeeded"),
        ((ResourceProvisioned, IntentAllowed), "succeeded"),
        ((ResourceDeleted,), "succeeded"),
        ((ResourceFailed,), "failed"),
        ((ResourceStuck, IntentAllowed), "stuck"),
        ((ResourceStuck, ResourceProvisioned), "succeeded"),
        ((Subscribed,), "succeeded"),
        ((Unsubscribed,), "succeeded"),
        ((SubscriptionRefused,), "denied"),
    ],
)
def test_an_operation_has_one_status(facts: tuple[type[Fact], ...], status: str) -> None:
    view = operation((fact(model), "t") for model in facts)
    assert view is not None
    assert (view.id, view.status, view.ended) == (OPERATION, status, status in ENDED)


def test_a_step_is_shown_once_as_it_is_now() -> None:
    tried: list[type[Fact]] = [StepStarted, StepFailed, StepStarted, StepSucceeded, StepUndone]
    seen = []
    view = None
    for model in tried:
        view = evolve_operation(view, fact(model), time="t")
        assert view is not None
        (step,) = view.steps
        seen.append((step.name, step.status))
    statuses = ("started", "failed", "started", "succeeded", "undone")
    assert seen == [("topic", status) for status in statuses]


def test_an_operation_about_a_subscription_names_it_and_the_next_step() -> None:
    allowed = fact(RequestAllowed, about="payments/done")
    refused = fact(SubscriptionRefused, detail="no such secret", fix="store it first")
    for facts in ([allowed, refused], [refused, allowed]):
        view = None
        for one in facts:
            view = evolve_operation(view, one, time="t")
        assert view is not None
        assert (view.status, view.about, view.fix) == ("denied", "payments/done", "store it first")


def test_resending_nothing_says_that_what_is_retried_needs_no_request() -> None:
    view = evolve_operation(None, fact(DeliveriesResent, deliveries=0), time="t")
    assert view is not None
    assert view.detail.endswith("those that are being retried need no request")


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        (fact(ResourceDeleted), "deleted"),
        (fact(ResourceDeleted, existed=False), "there was nothing to delete"),
        (fact(ResourceReleased), "released"),
        (fact(ResourceReleased, remains=[]), "there was nothing to release"),
    ],
)
def test_deleting_or_releasing_nothing_says_so(end: Fact, detail: str) -> None:
    view = evolve_operation(None, end, time="t")
    assert view is not None
    assert (view.status, view.detail) == ("succeeded", detail)


def test_a_resource_lives_dies_and_lives_again() -> None:
    ready = {"generation": 1, "spec": {"partitions": 3}, "outputs": {"topic": "t"}}
    life: list[tuple[Fact, str]] = [
        (fact(ResourceQueued), "provisioning"),
        (fact(ResourceProvisioned, **ready), "ready"),
        (fact(ResourceQueued, generation=2), "provisioning"),
        (fact(ResourceFailed, generation=2, left="previous", observed_generation=1), "ready"),
        (fact(ResourceQueued, generation=3), "provisioning"),
        (fact(ResourceStuck, generation=3), "stuck"),
        (fact(ResourceFailed, generation=3, left="partial", observed_generation=1), "failed"),
        (fact(ResourceQueued, generation=4), "provisioning"),
        (fact(ResourceFailed, generation=4, left="previous", observed_generation=1), "failed"),
        (fact(ResourceQueued, generation=5, action="delete"), "deleting"),
        (fact(ResourceDeleted, generation=5), "deleted"),
        (fact(ResourceQueued, generation=6), "provisioning"),
        (fact(ResourceFailed, generation=6, left="absent"), "failed"),
    ]
    generations = [1, 1, 2, 1, 3, 3, 1, 4, 1, 0, 0, 6, 0]
    view = None
    for (item, status), generation in zip(life, generations, strict=True):
        view = evolve_resource(view, item, time="t")
        assert view is not None
        assert (view.id, view.status, view.generation) == (ORDERS, status, generation)
    assert view is not None
    assert (view.spec, view.outputs, view.observed_generation, view.pending) == ({}, {}, 0, ())


def test_a_resource_seen_by_an_earlier_build_is_ready_again_after_a_change_was_undone() -> None:
    view = resource([(fact(ResourceProvisioned, generation=1), "t")])
    assert view is not None
    by_earlier_build = view.model_copy(
        update={"settled": None, "observed_generation": 0, "status": "provisioning"}
    )
    undone = fact(ResourceFailed, generation=2, left="previous")
    after = evolve_resource(by_earlier_build, undone, time="t")
    assert after is not None
    assert after.status == "ready"


def test_an_operation_behind_another_says_what_is_wanted() -> None:
    second = fact(ResourceQueued, operation=OTHER, generation=2, action="delete")
    first = [(fact(ResourceQueued), "t"), (second, "t"), (fact(ResourceProvisioned), "t")]
    view = resource(first)
    assert view is not None
    assert (view.status, view.generation, view.observed_generation) == ("deleting", 0, 1)
    assert [str(one.operation) for one in view.pending] == [OTHER]


def test_a_released_resource_is_not_there_for_busbar() -> None:
    view = resource([(fact(ResourceProvisioned), "t"), (fact(ResourceReleased), "t")])
    assert view is not None
    assert (view.status, view.generation, view.outputs) == ("released", 0, {})


@pytest.mark.parametrize(
    ("done", "status", "reason"), [(True, "succeeded", ""), (False, "failed", "no_effect")]
)
def test_an_intervention_ends_as_it_went(*, done: bool, status: str, reason: str) -> None:
    view = operation([(fact(InterventionAllowed), "t"), (fact(Intervened, done=done), "t")])
    assert view is not None
    assert (view.status, view.reason) == (status, reason)
    assert view.intent["id"] == "abandon-1"


def test_a_failed_operation_says_what_exists_now() -> None:
    partial = ResourceFailed.model_validate(ResourceFailed.EXAMPLES[1])
    view = operation([(partial, "t")])
    assert view is not None
    assert view.detail.endswith("; now topic exists (name=payments.orders, partitions=6)")


def test_the_failure_of_a_first_attempt_leaves_a_failed_resource() -> None:
    view = resource([(fact(ResourceQueued), "t"), (fact(ResourceFailed), "t")])
    assert view is not None
    assert view.status == "failed"


@pytest.mark.parametrize("model", FACTS)
def test_every_fact_of_the_catalogue_can_be_folded(model: type[Fact]) -> None:
    item = fact(model)
    for view in (None, operation([(fact(IntentAllowed), "t")])):
        after = evolve_operation(view, item, time="t")
        assert after is None or OperationView.model_validate(after.model_dump()) == after
    evolve_resource(None, item, time="t")


@pytest.mark.parametrize("model", FACTS, ids=lambda model: str(model.TYPE))
def test_a_fact_names_the_operation_and_the_resource_of_its_data(model: type[Fact]) -> None:
    for example in model.EXAMPLES:
        fact = model.model_validate(example)
        assert fact.operation_id == example.get("operation")
        assert fact.resource_id == example.get("resource")


# -- webhooks -------------------------------------------------------------------------------------


def webhook(model: type[Fact], event_type: str, **fields: Any) -> Timed:
    return fact(model, event_type=event_type, **fields), "t"


def test_the_answer_to_a_test_event_ends_its_operation() -> None:
    test = SubscriptionTestRequested.TYPE
    asked = (fact(SubscriptionTestRequested), "t")
    running = operation([asked])
    assert running is not None
    assert running.status == "running"
    done = operation([asked, webhook(WebhookDelivered, test)])
    failed = operation([asked, webhook(WebhookExhausted, test)])
    assert done is not None
    assert failed is not None
    assert (done.status, failed.status) == ("succeeded", "failed")
    assert "status 503" in failed.detail


def test_the_webhook_about_a_fact_does_not_end_the_operation_of_the_fact() -> None:
    for model in (WebhookDelivered, WebhookExhausted, WebhookAttempted):
        assert operation([webhook(model, "busbar.resource.queued.v1")]) is None


def test_a_delivery_keeps_its_last_attempts() -> None:
    view = None
    for number in range(1, MAX_ATTEMPTS + 11):
        one = fact(WebhookAttempted, attempt=number)
        assert isinstance(one, WebhookAttempted)
        view = evolve_delivery(view, one, time=f"{number:03d}")
    assert view is not None
    assert len(view.attempts) == MAX_ATTEMPTS
    assert view.attempts[-1].attempt == MAX_ATTEMPTS + 10

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from busbar.messages.base import IntentRef
from busbar.messages.intervention import AbandonOperation, ReleaseResource, RetryOperation
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.policy.adapters import load_rules, shipped
from busbar.policy.domain import Promises, ReceivedIntent, RuleBook
from busbar.policy.domain.promise import Promise, PromiseFile, promise_of
from busbar.policy.domain.promise_checks import problems_in
from busbar.policy.domain.rule_scope import Known

INTENTS: dict[str, Any] = {
    "apply": ApplyResource,
    "delete": DeleteResource,
    "retry": RetryOperation,
    "abandon": AbandonOperation,
    "release": ReleaseResource,
}


@pytest.fixture(scope="session")
def known() -> Known:
    """The promises and the environments that busbar ships with."""
    return shipped()


@pytest.fixture(scope="session")
def catalogue(known: Known) -> Promises:
    """The catalogue that busbar ships with."""
    return known.promises


@pytest.fixture(scope="session")
def house_rules(known: Known) -> RuleBook:
    """The rules that busbar ships with."""
    return load_rules([], known)


@pytest.fixture(scope="session")
def promise_file() -> Callable[..., PromiseFile]:
    """A promise file around one version; keywords replace parts of the version."""

    def build(properties: dict[str, Any] | None = None, **parts: Any) -> PromiseFile:
        version: dict[str, Any] = {
            "spec": {
                "type": "object",
                "additionalProperties": False,
                "properties": properties or {},
            },
            "plan": [{"name": "thing", "adapter": "noop"}],
        }
        return PromiseFile.model_validate(
            {
                "busbar": "promise/v1",
                "name": "thing",
                "title": "A thing",
                "owner": "platform",
                "versions": {"v1": {**version, **parts}},
            }
        )

    return build


@pytest.fixture(scope="session")
def promise(promise_file: Callable[..., PromiseFile]) -> Callable[..., Promise]:
    """The promise of such a file, which has to be in order."""

    def build(properties: dict[str, Any] | None = None, **parts: Any) -> Promise:
        file = promise_file(properties, **parts)
        assert problems_in(file) == []
        return promise_of(file)

    return build


@pytest.fixture(scope="session")
def received() -> Callable[..., ReceivedIntent]:
    """An intent about payments/dev/event-stream/orders; keywords are its data."""

    def build(
        action: str = "apply", *, envelope: dict[str, Any] | None = None, **data: Any
    ) -> ReceivedIntent:
        whole = {
            "team": "payments",
            "environment": "dev",
            "promise": "event-stream",
            "name": "orders",
            **({"spec": {}} if action == "apply" else {}),
            **data,
        }
        model = INTENTS[action]
        return ReceivedIntent(
            operation=UUID("0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"),
            intent=IntentRef(source="urn:team:payments", id="1", type=model.TYPE),
            message=model.model_validate(whole),
            data=whole,
            now=datetime(2026, 1, 1, tzinfo=UTC),
            **(envelope or {}),
        )

    return build

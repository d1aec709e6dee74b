"""``contracts/openapi.json`` says what the gateway does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from busbar.gateway.routes import export
from busbar.messages.catalogue import INTENTS
from busbar.messages.codec.attributes import CORE
from busbar.messages.http import NDJSON
from tools.contracts.pages import OPENAPI

ROOT = Path(__file__).parents[2]
REF = "#/components/schemas/"
VERBS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return export.document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb in VERBS & item.keys():
            yield f"{verb} {path}", item[verb]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def validator(document: dict[str, Any], schema: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": REF + schema, "components": document["components"]})


def test_the_committed_file_is_up_to_date() -> None:
    assert OPENAPI.is_current(ROOT), "run `make generate`, and look at what changed"


def test_the_file_is_written_once_and_then_current(tmp_path: Path) -> None:
    assert not OPENAPI.is_current(tmp_path)
    assert OPENAPI.write(tmp_path)
    assert OPENAPI.is_current(tmp_path)
    assert not OPENAPI.write(tmp_path)
    file = tmp_path / export.PATH
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert not OPENAPI.is_current(tmp_path)
    assert OPENAPI.write(tmp_path)
    assert file.read_text(encoding="utf-8") == OPENAPI.text(tmp_path)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = set(references(document))
    assert {name.removeprefix(REF) for name in found} == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_is_described_named_and_secured(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names)) == 21
    for name, operation in operations(document):
        assert operation["security"] == [{"bearer": []}], name
        assert operation["description"].endswith("."), name
        assert operation["tags"], name


def test_every_parameter_and_answer_has_a_description(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"].endswith("."), (name, parameter["name"])
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": f"{REF}Problem"}}}
    for name, operation in operations(document):
        answers = operation["responses"]
        assert {"401", "default"} <= answers.keys(), name
        for status in answers.keys() - {"200", "202"}:
            assert answers[status]["content"] == problem, (name, status)


def test_every_good_answer_has_a_schema(document: dict[str, Any]) -> None:
    expected = {
        "post /v1/events": "Accepted",
        "get /v1/operations": "OperationPage",
        "get /v1/operations/{operation}": "OperationView",
        "get /v1/resources": "ResourcePage",
        "get /v1/resources/{team}/{environment}/{promise}/{name}": "ResourceView",
        "get /v1/facts": "FactPage",
        "get /v1/promises": "PromiseList",
        "get /v1/principals": "PrincipalPage",
        "get /v1/principals/{principal}": "PrincipalView",
        "get /v1/promises/{name}": "PromiseView",
        "get /v1/dead-letters": "DeadLetterPage",
        "get /v1/subscriptions": "SubscriptionPage",
        "get /v1/subscriptions/{team}/{name}": "SubscriptionView",
        "get /v1/subscriptions/{team}/{name}/deliveries": "DeliveryPage",
        "get /v1/subscriptions/{team}/{name}/deliveries/{event}": "DeliveryView",
        "get /v1/dead-letters/{dead_letter}": "DecryptedDeadLetter",
        "get /v1/audit/records": "AuditRecordPage",
        "get /v1/audit/completeness": "CompletenessLine",
        "get /v1/audit/explain": "ExplanationLine",
        "get /v1/audit/state": "StateLine",
    }
    for name, operation in operations(document):
        good = operation["responses"].get("200") or operation["responses"]["202"]
        in_lines = expected.get(name, "").endswith("Line")
        schema = good["content"][NDJSON if in_lines else "application/json"]["schema"]
        if name == "get /v1/openapi.json":
            assert schema["type"] == "object"
        else:
            assert schema == {"$ref": REF + expected[name]}, name


def test_the_event_is_described_in_both_modes(document: dict[str, Any]) -> None:
    post = document["paths"]["/v1/events"]["post"]
    content = post["requestBody"]["content"]
    assert content.keys() == {"application/cloudevents+json", "application/json"}
    headers = {parameter["name"] for parameter in post["parameters"]}
    named = {name.removeprefix("ce-") for name in headers if name.startswith("ce-")}
    assert CORE - {"datacontenttype", "dataschema"} <= named
    assert "traceparent" in headers
    assert {"Location", "Operation-Location", "Idempotent-Replayed"} <= post["responses"]["202"][
        "headers"
    ].keys()


def test_the_schema_of_the_event_accepts_what_the_gateway_accepts(
    document: dict[str, Any],
) -> None:
    event = validator(document, "CloudEvent")
    post = document["paths"]["/v1/events"]["post"]
    content = post["requestBody"]["content"]
    example = content["application/cloudevents+json"]["examples"]["structured"]["value"]
    event.validate(example)
    for intent in INTENTS:
        for data in intent.EXAMPLES:
            event.validate({**example, "type": intent.TYPE, "data": json.loads(json.dumps(data))})
            validator(document, "IntentData").validate(data)
    for name in ("id", "source", "type", "specversion"):
        assert not event.is_valid({key: value for key, value in example.items() if key != name})
    assert not event.is_valid({**example, "type": "busbar.resource.provisioned.v1"})
    assert not event.is_valid({**example, "specversion": "0.3"})
    assert not event.is_valid({**example, "extension": {}})
    assert event.is_valid({**example, "extension": 1})

"""Compares the answers of the gateway with its OpenAPI document."""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from busbar.messages.http import NDJSON, PLAIN_TEXT

PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Described:
    """The operations of an OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self._paths = {
            re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)): item
            for path, item in document["paths"].items()
        }
        self.seen: set[tuple[str, str]] = set()

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """Return the operation that ``method`` on ``path`` is, if there is one."""
        verb = "get" if method == "HEAD" else method.lower()
        for pattern, item in self._paths.items():
            if pattern.fullmatch(path) and verb in item:
                found: Mapping[str, Any] = item[verb]
                return found
        return None

    def check(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Fail unless the answer is one that the document describes."""
        media_type = headers["content-type"].partition(";")[0]
        operation = self.operation(method, path)
        if operation is None:
            schema = PROBLEM
            assert status >= 400, (method, path, status)
        else:
            answers = operation["responses"]
            answer = answers.get(str(status)) or (answers["default"] if status >= 400 else {})
            assert media_type in answer.get("content", {}), (method, path, status, media_type)
            schema = answer["content"][media_type]["schema"]
            self.seen.add((operation["operationId"], str(status)))
        validator = Draft202012Validator({**schema, "components": self._components})
        if media_type == PLAIN_TEXT:
            validator.validate(body.decode())
            return
        for text in body.splitlines() if media_type == NDJSON else [body]:
            validator.validate(json.loads(text))

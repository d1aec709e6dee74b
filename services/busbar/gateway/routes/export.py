"""``contracts/openapi.json``: the gateway's HTTP as OpenAPI, generated from the application."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import SecretStr

import busbar
from busbar.gateway.ports import Answer, AuditUnavailable
from busbar.gateway.routes.application import routes
from busbar.gateway.routes.backpressure import Limits
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.store import Store

PATH: Final = Path("contracts") / "openapi.json"


class _NoStore:
    """Stands where a store would: the document needs none."""

    def on_commit(self, _listener: Callable[..., None]) -> None:
        """Nothing is ever committed."""


class _NoAudit:
    """Stands where audit would."""

    async def get(self, _path: str, _query: Mapping[str, str]) -> Answer:
        raise AuditUnavailable("there is none")


def document() -> dict[str, Any]:
    """The OpenAPI document of the gateway."""
    app = routes(
        cast("Store", _NoStore()),
        _NoAudit(),
        token=SecretStr("none"),
        cipher=Cipher(bytes(32)),
        version=busbar.__version__,
        limits=Limits(),
    )
    return app.openapi()


def text() -> str:
    """The document as the file spells it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"

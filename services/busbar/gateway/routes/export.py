"""``contracts/openapi.json``: the OpenAPI document, generated from the application."""

import json
from pathlib import Path
from typing import Any, Final

from busbar.gateway.routes.application import create_app
from busbar.runtime.core.version import VERSION

PATH: Final = Path("contracts") / "openapi.json"


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the gateway."""
    return create_app(version=VERSION).openapi()


def text() -> str:
    """Return the document as it is written to the file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"

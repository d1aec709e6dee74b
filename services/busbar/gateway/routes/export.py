"""``contracts/openapi.json``: the OpenAPI document, generated from the application."""

import json
from pathlib import Path
from typing import Any, Final

from busbar.gateway.routes.application import create_app
from busbar.runtime.core.version import VERSION

PATH: Final = Path("contracts") / "openapi.json"


def document(version: str = VERSION) -> dict[str, Any]:
    """Return the OpenAPI document of a gateway of ``version``."""
    return create_app(version=version).openapi()


def text(version: str = VERSION) -> str:
    """Return the document as it is written to the file."""
    return json.dumps(document(version), indent=2, ensure_ascii=False) + "\n"

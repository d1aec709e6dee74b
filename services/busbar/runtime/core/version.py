"""The version of the installed platform."""

import platform
from importlib.metadata import version
from typing import Final

from busbar.messages.base import FORMATS

VERSION: Final = version("busbar-platform")


def version_text() -> str:
    """Return the version of busbar, that of Python, and the status of the formats, for people."""
    return (
        f"busbar {VERSION} (Python {platform.python_version()})\n"
        f"messages, promise files, HTTP API: {FORMATS}"
    )

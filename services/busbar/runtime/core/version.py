"""The version of the installed platform."""

import platform
from importlib.metadata import version
from typing import Final

VERSION: Final = version("busbar-platform")


def version_line() -> str:
    """Return the versions of the platform and of Python in one line."""
    return f"busbar {VERSION} (Python {platform.python_version()})"

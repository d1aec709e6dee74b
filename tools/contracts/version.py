"""The version that the contracts say: that of the checkout, not that of what is installed."""

import tomllib
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).resolve().parents[2] / "pyproject.toml"

VERSION: Final[str] = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
"""A release generates the contracts before anything of its version is installed."""

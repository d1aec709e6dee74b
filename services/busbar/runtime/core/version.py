"""The version of the installed platform."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("busbar-platform")

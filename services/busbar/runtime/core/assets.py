"""Files that ship with busbar: found in a source checkout or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


def asset(relative: str) -> Path:
    """Return the path of ``relative`` (``contracts/promises``) in the checkout or the package.

    Raises:
        FileNotFoundError: this installation lacks the file.
    """
    for root in (_PACKAGE.parents[1], _PACKAGE / "assets"):
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"this installation of busbar lacks {relative}; reinstall it")

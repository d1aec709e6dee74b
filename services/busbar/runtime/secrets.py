"""Secrets by reference: ``secret:<name>`` is the file ``<home>/secrets/<name>``, mode 0600."""

import os
import re
from pathlib import Path

from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError

PREFIX = "secret:"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class SecretFolder:
    """The secrets of one installation, as files; values go only to whoever has to use them."""

    def __init__(self, folder: Path) -> None:
        """Read and write in ``folder``."""
        self._folder = folder

    def get(self, reference: str) -> SecretStr | None:
        """The secret that ``reference`` names, or None.

        Raises:
            ConfigurationError: others may read its file.
        """
        path = self._path(reference)
        if not path.is_file():
            return None
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"The file of {reference} can be read by others.", fix=f"Run: chmod 600 {path}"
            )
        return SecretStr(path.read_text(encoding="utf-8").strip())

    def put(self, reference: str, value: SecretStr) -> None:
        """Store ``value`` under ``reference``, replacing what was there."""
        path = self._path(reference)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value.get_secret_value() + "\n")
        draft.replace(path)

    def remove(self, reference: str) -> None:
        """Forget the secret that ``reference`` names; none is fine."""
        self._path(reference).unlink(missing_ok=True)

    def _path(self, reference: str) -> Path:
        name = reference.removeprefix(PREFIX)
        if not reference.startswith(PREFIX) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{reference!r} is no reference to a secret.",
                fix="Write secret:<name>, of lower-case letters, digits and hyphens.",
            )
        return self._folder / name

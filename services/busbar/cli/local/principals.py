"""The first start of a platform: an administrator, and the keys of its services."""

from pathlib import Path
from typing import Final

from busbar.messages.topics import SERVICES
from busbar.runtime.core.private_file import ensure_private_file
from busbar.runtime.core.signing_key import ensure_signing_key, key_path

ADMINISTRATOR: Final = "admin"

_HEAD: Final = """\
# The principals of this platform: the people, service accounts, bots and services that may ask it
# for something. Read when the platform starts. See docs/how-to/declare-principals.md.
busbar: principals/v1
principals:
  # The owner of the token or the key in this folder is this person, and may do everything.
  - name: {administrator}
    kind: person
    teams: ["*"]
    sources: ["*"]
    permissions: ["*"]
    keys: [{key}]
"""
_SERVICE: Final = """\
  - name: {name}
    kind: service
    keys: [{key}]
"""


def ensure_principals(home: Path) -> Path | None:
    """Create ``principals.yaml`` in ``home`` with all keys, if it is not there.

    Returns the file with the administrator's private key if it was created now.

    Raises:
        ConfigurationError: a key's file can be read by others, or is not a key.
    """
    file = home / "principals.yaml"
    if file.exists():
        return None
    folder = home / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    declared = _HEAD.format(administrator=ADMINISTRATOR, key=_key_of(home, ADMINISTRATOR))
    services = [_SERVICE.format(name=name, key=_key_of(home, name)) for name in SERVICES]
    ensure_private_file(file, "".join([declared, *services]).strip())
    return key_path(home, ADMINISTRATOR)


def _key_of(home: Path, principal: str) -> str:
    return ensure_signing_key(key_path(home, principal)).public.text

"""The files with private keys, ``<home>/keys/<principal>.pem``: only their owner may read them."""

from pathlib import Path

from busbar.kernel.errors import ConfigurationError
from busbar.messages.signing import InvalidKey, SigningKey
from busbar.runtime.core.private_file import ensure_private_file, read_private_file


def key_path(home: Path, principal: str) -> Path:
    """Return the place of the private key of ``principal``."""
    return home / "keys" / f"{principal}.pem"


def load_signing_key(path: Path) -> SigningKey | None:
    """Return the key in the file at ``path``, or None if there is no file.

    Raises:
        ConfigurationError: it is not a key, cannot be read, or others can read it.
    """
    try:
        return _parsed(path, read_private_file(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"No key can be read from {path}: {why}.", fix="Make the file readable for you only."
        ) from error


def ensure_signing_key(path: Path) -> SigningKey:
    """Return the key in the file at ``path``, which is created if it is missing.

    Raises:
        ConfigurationError: it is not a key, or others can read it.
    """
    return _parsed(path, ensure_private_file(path, SigningKey.generate().pem.strip()))


def _parsed(path: Path, pem: str) -> SigningKey:
    try:
        return SigningKey.from_pem(pem)
    except InvalidKey as error:
        problem = str(error)
    raise ConfigurationError(f"{path}: {problem}", fix="Remove the file to have a new key made.")

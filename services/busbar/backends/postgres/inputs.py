"""The inputs of a database, and the names derived from them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from busbar.backends.calls import parse_inputs

MAX_NAME_LENGTH: Final = 63
"""PostgreSQL silently truncates longer names (``NAMEDATALEN`` - 1), so none is sent."""

MAX_CONNECTIONS: Final = 10_000

DEFAULT_CLUSTER: Final = "secret:postgres-cluster"

EXTENSIONS: Final = frozenset(
    {
        "btree_gin",
        "btree_gist",
        "citext",
        "hstore",
        "ltree",
        "pg_trgm",
        "pgcrypto",
        "unaccent",
        "uuid-ossp",
        "vector",
    }
)
"""All are *trusted*: their owner gains nothing that only a superuser may grant."""

SECRET_PREFIX: Final = "secret:database-"  # noqa: S105 - the name of a secret, not its value
"""Credentials have no other prefix, so that no plan can replace a secret of busbar's own."""

_LEGAL: Final = re.compile(rf"[a-z0-9][a-z0-9_]{{0,{MAX_NAME_LENGTH - 1}}}")
_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REFERENCE: Final = re.compile(r"secret:[a-z0-9][a-z0-9-]{0,62}")
_MAX_SECRET_LENGTH: Final = 63
_DIGEST_DIGITS: Final = 12

_RESERVED: Final = frozenset(
    {"postgres", "template0", "template1", "public", "none", "busbar"}
    | {"rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"}
)
_RESERVED_PREFIXES: Final = ("pg_", "busbar_")


def database_name(parts: Sequence[str]) -> str:
    """Return the name for ``parts``, each a DNS label: ``a-b``, ``c`` is ``a_b__c``.

    Different parts give different names: ``__`` only separates parts, and a name that would be
    ambiguous (``--`` in a part), too long or reserved ends in ``___`` and a digest of the parts.
    """
    name = "__".join(part.replace("-", "_") for part in parts)
    if _is_reserved(name):
        name = f"db_{name}"
    elif len(name) <= MAX_NAME_LENGTH and not any("--" in part for part in parts):
        return name
    return _shorten(name, "___", "/".join(parts), MAX_NAME_LENGTH)


def _shorten(text: str, separator: str, whole: str, max_length: int) -> str:
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_DIGITS]
    room = max_length - len(separator) - len(digest)
    return text[:room].rstrip("_-") + separator + digest


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)


def _name(value: str) -> str:
    if not _LEGAL.fullmatch(value):
        raise PydanticCustomError(
            "name",
            "a name is 1 to 63 lower-case letters, digits and underscores, and does not start with "
            "an underscore",
        )
    if _is_reserved(value):
        raise PydanticCustomError(
            "reserved_name", "this name belongs to PostgreSQL, its host or busbar; choose another"
        )
    return value


def _part(value: str) -> str:
    if not _PART.fullmatch(value):
        raise PydanticCustomError(
            "part", "a part is a DNS label: lower-case letters, digits and inner hyphens"
        )
    return value


def _cluster(value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        raise PydanticCustomError(
            "cluster", "give a reference, secret:<name>, never the connection URL itself"
        )
    return value


def _credentials(value: str) -> str:
    if not _REFERENCE.fullmatch(value) or not value.startswith(SECRET_PREFIX):
        raise PydanticCustomError(
            "credentials", "credentials of databases are stored under secret:database-<name>"
        )
    return value


def _extension(value: str) -> str:
    if value not in EXTENSIONS:
        raise PydanticCustomError(
            "extension",
            "this extension is not allowed; the allowed ones are {known}",
            {"known": ", ".join(sorted(EXTENSIONS))},
        )
    return value


class Target(BaseModel):
    """The identity of a database: enough to observe and to remove it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, hide_input_in_errors=True)

    cluster: Annotated[str, AfterValidator(_cluster)] = DEFAULT_CLUSTER
    """The secret that holds the URL of the cluster's administrator."""
    name: Annotated[str, AfterValidator(_name)] | None = None
    name_parts: Annotated[
        list[Annotated[str, AfterValidator(_part)]] | None, Field(min_length=1)
    ] = None
    """In place of ``name``: the parts that :func:`database_name` joins."""
    owner: Annotated[str, AfterValidator(_name)] | None = None
    """The role that owns the database; by default it has the database's name."""
    credentials: Annotated[str, AfterValidator(_credentials)] | None = None
    """The secret for the role's URL; by default its name is derived from the database's."""

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.name is None) == (self.name_parts is None):
            raise PydanticCustomError("one_name", "give either name or name_parts")
        _name(self.database)
        return self

    @property
    def database(self) -> str:
        """The database's name."""
        return self.name or database_name(self.name_parts or ())

    @property
    def role(self) -> str:
        """The owner's name."""
        return self.owner or self.database

    @property
    def reference(self) -> str:
        """The secret for the credentials, unique for each database of each cluster."""
        if self.credentials is not None:
            return self.credentials
        max_length = _MAX_SECRET_LENGTH + len("secret:")
        plain = SECRET_PREFIX + self.database.replace("_", "-").rstrip("-")
        is_default = self.cluster == DEFAULT_CLUSTER and not self.database.endswith("_")
        if is_default and len(plain) <= max_length:
            return plain
        return _shorten(plain, "---", f"{self.cluster}/{self.database}", max_length)


class DatabaseInputs(Target):
    """A database as requested.

    ``connection_limit`` is the maximum number of concurrent connections of its owner, the only
    role that may connect.
    """

    model_config = ConfigDict(extra="forbid")

    connection_limit: Annotated[int, Field(ge=1, le=MAX_CONNECTIONS)]
    extensions: list[Annotated[str, AfterValidator(_extension)]] = []


def read_inputs(inputs: Mapping[str, Any]) -> DatabaseInputs:
    """Return the validated inputs.

    Raises:
        InvalidInputs: :class:`DatabaseInputs` does not accept them.
    """
    return parse_inputs(DatabaseInputs, inputs, whole="name")


def read_target(inputs: Mapping[str, Any]) -> Target:
    """Return the identity of the database, even if other inputs are invalid.

    Raises:
        InvalidInputs: it cannot be determined; nothing of ours can have it.
    """
    return parse_inputs(Target, inputs, whole="name")

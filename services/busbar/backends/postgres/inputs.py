"""What a plan may ask of a database, and what things are called."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

LONGEST_NAME: Final = 63
"""PostgreSQL cuts off the rest in silence (``NAMEDATALEN`` - 1), so nothing longer is sent."""

MOST_CONNECTIONS: Final = 10_000

CLUSTER: Final = "secret:postgres-cluster"

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
"""All of them are *trusted*: they give their owner nothing that a superuser would have to allow."""

SECRET_PREFIX: Final = "secret:database-"  # noqa: S105 - the name of a secret, not its value
"""Credentials are stored under nothing else, so that no plan replaces a secret of busbar's own."""

_LEGAL: Final = re.compile(rf"[a-z0-9][a-z0-9_]{{0,{LONGEST_NAME - 1}}}")
_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REFERENCE: Final = re.compile(r"secret:[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_SECRET: Final = 63
_DIGEST_DIGITS: Final = 12

_RESERVED: Final = frozenset(
    {"postgres", "template0", "template1", "public", "none", "busbar"}
    | {"rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"}
)
_RESERVED_PREFIXES: Final = ("pg_", "busbar_")

_T = TypeVar("_T", bound="Target")


class InvalidInputs(Exception):
    """The inputs cannot be met whatever the cluster does. ``fields`` names the wrong ones."""

    def __init__(self, detail: str, *, fields: tuple[str, ...]) -> None:
        """Say what is wrong, in ``detail``, for people."""
        super().__init__(detail)
        self.fields = fields


def database_name(parts: Sequence[str]) -> str:
    """The name for ``parts``, each a DNS label: ``a-b``, ``c`` is ``a_b__c``.

    Different parts give different names: ``__`` stands between parts only, and what would be
    ambiguous (``--`` in a part), too long or reserved ends in ``___`` and a digest over the parts.
    """
    name = "__".join(part.replace("-", "_") for part in parts)
    if _is_reserved(name):
        name = f"db_{name}"
    elif len(name) <= LONGEST_NAME and not any("--" in part for part in parts):
        return name
    return _cut(name, "___", "/".join(parts), LONGEST_NAME)


def _cut(text: str, separator: str, whole: str, longest: int) -> str:
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_DIGITS]
    room = longest - len(separator) - len(digest)
    return text[:room].rstrip("_-") + separator + digest


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)


def _name(value: str) -> str:
    if not _LEGAL.fullmatch(value):
        raise PydanticCustomError(
            "name",
            "a name is 1 to 63 lower-case letters, digits and underscores, the first of them no "
            "underscore",
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
            "this extension is not on the list of those that may be asked for; on it are {known}",
            {"known": ", ".join(sorted(EXTENSIONS))},
        )
    return value


class Target(BaseModel):
    """Which database is meant: enough to look and to remove."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, hide_input_in_errors=True)

    cluster: Annotated[str, AfterValidator(_cluster)] = CLUSTER
    """The secret that holds the URL of the cluster's administrator."""
    name: Annotated[str, AfterValidator(_name)] | None = None
    name_parts: Annotated[
        list[Annotated[str, AfterValidator(_part)]] | None, Field(min_length=1)
    ] = None
    """In place of ``name``: what :func:`database_name` makes one of."""
    owner: Annotated[str, AfterValidator(_name)] | None = None
    """The role that owns the database; called like it if left out."""
    credentials: Annotated[str, AfterValidator(_credentials)] | None = None
    """Where the role's URL is stored; a name is made up if left out."""

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
        """Where the credentials are stored: different for each database of each cluster."""
        if self.credentials is not None:
            return self.credentials
        longest = _LONGEST_SECRET + len("secret:")
        plain = SECRET_PREFIX + self.database.replace("_", "-").rstrip("-")
        if self.cluster == CLUSTER and len(plain) <= longest and not self.database.endswith("_"):
            return plain
        return _cut(plain, "---", f"{self.cluster}/{self.database}", longest)


class DatabaseInputs(Target):
    """A database as asked for.

    ``connection_limit`` is how many connections its owner, who alone may connect, has at once.
    """

    model_config = ConfigDict(extra="forbid")

    connection_limit: Annotated[int, Field(ge=1, le=MOST_CONNECTIONS)]
    extensions: list[Annotated[str, AfterValidator(_extension)]] = []


def read_inputs(inputs: Mapping[str, Any]) -> DatabaseInputs:
    """``inputs``, checked.

    Raises:
        InvalidInputs: they are not what :class:`DatabaseInputs` says.
    """
    return _read(DatabaseInputs, inputs)


def read_target(inputs: Mapping[str, Any]) -> Target:
    """Which database is meant, whatever became of the other rules since.

    Raises:
        InvalidInputs: that cannot be told; nothing of ours can be there.
    """
    return _read(Target, inputs)


def _read(model: type[_T], inputs: Mapping[str, Any]) -> _T:
    try:
        return model.model_validate(dict(inputs))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = {".".join(str(part) for part in one["loc"]) or "name": one["msg"] for one in found}
        detail = "; ".join(f"{field}: {message}" for field, message in wrong.items())
        raise InvalidInputs(
            f"{detail}. Correct the inputs of the step in the promise, or the spec they come from",
            fields=tuple(field.partition(".")[0] for field in wrong),
        ) from error

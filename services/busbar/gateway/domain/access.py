"""Decides who sends a request: a principal that has signed a token, or the administrator.

A token is read strictly: of everything that JOSE allows, only the form in
``messages/access_token.py`` is taken. Nothing about principals and keys is said before the
signature fits, so that
invented tokens find no names.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import OKPKey

from busbar.messages.access_token import ALGORITHM, AUDIENCE, CLAIMS, HEADER, MAX_SECONDS, TYPE
from busbar.messages.access_token import encode as base64url
from busbar.messages.authority import Principal
from busbar.messages.codec.json import load_json
from busbar.messages.envelope import Unreadable
from busbar.messages.permissions import EVERY, TEAM_READ
from busbar.messages.principals import KeyView, PrincipalView
from busbar.messages.signing import PublicKey

ADMINISTRATOR: Final = Principal(
    name="admin",
    kind="person",
    teams=frozenset({EVERY}),
    sources=(EVERY,),
    permissions=frozenset({EVERY}),
)
"""The principal of the local token. Its owner has the home, and with it every key and record,
so it may read everything here, whatever is declared. Policy judges its intents as declared."""

LEEWAY: Final = timedelta(seconds=30)
"""How far the clocks of a client and the gateway may differ."""

MAX_CHARS: Final = 2048
_PARTS: Final = 3
_SIGNATURE_BYTES: Final = 64
_KEY_ID: Final = re.compile("[0-9a-f]{32}")
_LATEST: Final = 2**33  # in the year 2242, so that sums of times stay within the calendar
_LEVELS: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MAKE: Final = (
    'send a JWT with the header {"alg":"EdDSA","kid":KEY_ID,"typ":"JWT"} and the claims aud'
    f' ("{AUDIENCE}"), exp, iat and sub (the principal), signed with its key, as'
    " docs/how-to/use-http.md shows"
)
_CLOCK: Final = (
    f"make a new token: it may be valid for {MAX_SECONDS // 60} minutes from its iat; if this one"
    " is new, set the clock of the client"
)
_KEYS: Final = (
    "sign with a key that is registered for the principal in sub (`busbar keys create`); a new"
    " key is known within seconds"
)


class _OneAlgorithm(jws.JWSRegistry):
    """The only algorithm; the library would warn about its name with every token.

    RFC 9864 has a new name for each curve, since a verifier could not know the curve by the old
    one. Here the key is known, and has one curve.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return the algorithm.

        Raises:
            UnsupportedAlgorithmError: ``name`` is another one.
        """
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY: Final = _OneAlgorithm()


class BadToken(Exception):
    """A token is refused: the reason, and what to do. Neither quotes it."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class ClaimedToken:
    """The claims of a token of the right form, before its signature is verified."""

    principal: str
    key: str
    issued: datetime
    expires: datetime


def parse_token(text: str, *, now: datetime) -> ClaimedToken:
    """Return what ``text`` claims, if it is a token that may be valid at ``now``.

    Raises:
        BadToken: it has another form, or is not valid at this time.
    """
    parts = text.split(".")
    if len(text) > MAX_CHARS or len(parts) != _PARTS:
        raise BadToken("the token is not a JWT in compact form", _MAKE)
    header, claims = _members(parts[0], "header"), _members(parts[1], "claims")
    if len(_bytes(parts[2], "signature")) != _SIGNATURE_BYTES:
        raise BadToken("the signature of the token is not one of Ed25519", _MAKE)
    if header.keys() != HEADER or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise BadToken("the header of the token is not that of an access token", _MAKE)
    if not isinstance(header["kid"], str) or not _KEY_ID.fullmatch(header["kid"]):
        raise BadToken("the kid of the token is not the id of a key", _MAKE)
    if claims.keys() != CLAIMS or not isinstance(claims["sub"], str):
        raise BadToken("the claims of the token are not those of an access token", _MAKE)
    if claims["aud"] != AUDIENCE:
        raise BadToken(f'the token is not for this platform: its aud is not "{AUDIENCE}"', _MAKE)
    issued, expires = _time(claims["iat"]), _time(claims["exp"])
    if not timedelta(0) < expires - issued <= timedelta(seconds=MAX_SECONDS):
        raise BadToken("the token is valid for too long, or never", _CLOCK)
    if now >= expires + LEEWAY:
        raise BadToken("the token has expired", _CLOCK)
    if now < issued - LEEWAY:
        raise BadToken("the token is not valid yet", _CLOCK)
    return ClaimedToken(claims["sub"], header["kid"], issued, expires)


def identify(text: str, claimed: ClaimedToken, known: PrincipalView | None) -> Principal:
    """Return the principal that has signed the token ``text``.

    ``known`` is the principal that it claims to be from, if there is one.

    Raises:
        BadToken: its signature does not fit, its key is revoked, or the principal was removed.
    """
    keys = known.keys if known is not None else ()
    key = next((one for one in keys if one.key == claimed.key), None)
    if known is None or key is None or not _is_signed(text, key):
        raise BadToken("the token is not signed with a registered key of its principal", _KEYS)
    if not known.declared:
        raise BadToken(
            f"the principal {known.principal} is not declared any more",
            "have it declared in principals.yaml, and a new key registered",
        )
    if key.revoked is not None:
        raise BadToken(
            f"the key {key.key} is revoked", f"sign with another key of {known.principal}"
        )
    return known.rights


def forbidden_detail(principal: str, team: str | None) -> tuple[str, str]:
    """Return what ``principal`` lacks to read what belongs to ``team``, and what to do about it.

    The words are the same whether or not there is such a team.
    """
    what = f"for the team {team}" if team is not None else "for what belongs to no team"
    fix = "members of a team may read what is its; lists without a team show what you may read"
    if team is None:
        fix = f"have {TEAM_READ} granted by name in principals.yaml"
    return f"{principal} lacks the permission {TEAM_READ} {what}", fix


def _is_signed(text: str, key: KeyView) -> bool:
    try:
        jws.deserialize_compact(text, _key_of(key.public_key), registry=_REGISTRY)
    except JoseError:
        return False
    return True


@lru_cache(maxsize=1024)
def _key_of(text: str) -> OKPKey:
    """Return the key with this text. What may be done with it is looked up for each request."""
    public = PublicKey.parse(text)  # refuses what libraries do not: points of small order
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public.text, "use": "sig"})


def _members(part: str, what: str) -> dict[str, Any]:
    try:
        found = load_json(_bytes(part, what), what=what, levels=_LEVELS)
    except Unreadable as error:
        raise BadToken(f"the {what} of the token is not a flat JSON object", _MAKE) from error
    if not isinstance(found, dict):
        raise BadToken(f"the {what} of the token is not a flat JSON object", _MAKE)
    return found


def _bytes(part: str, what: str) -> bytes:
    """Return the bytes of ``part`` in base64url, if it is written in the one way (RFC 7515)."""
    try:
        text = part.encode("ascii")
        raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as error:
        raise BadToken(f"the {what} of the token is not base64url", _MAKE) from error
    if not raw or base64url(raw) != text:
        raise BadToken(f"the {what} of the token is not base64url without padding", _MAKE)
    return raw


def _time(value: object) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise BadToken("a time of the token is not a whole number of seconds since 1970", _MAKE)
    return _EPOCH + timedelta(seconds=value)

"""Verifies the heads of relays: each has to be signed by its service, with a key that holds.

A key is revoked by a record among the heads of its service: heads after it, in the order of the
partition, prove nothing. No clock is asked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from busbar.audit.domain.completeness import Discrepancy, Head, Kind, Place, Problems
from busbar.messages.codec.json import load_json
from busbar.messages.delivery import HeadKeyRevoked, HeadPublished
from busbar.messages.identity import KeyRegistered, PrincipalDeclared
from busbar.messages.signing import BadSignature, InvalidKey, PublicKey, verify
from busbar.messages.signing.signature import signature_of
from busbar.messages.topics import OWN_SOURCES

IDENTITY = "identity"
"""The service that revokes keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCopy:
    """A record of the copy with what its signature covers; ``digest`` is that of its value.

    ``signed`` is None if that cannot be text. A build that knew no signatures has not ``kept`` it.
    """

    place: Place
    source: str
    digest: str
    data: Any
    signed: Mapping[str, Any] | None
    kept: bool = True


@dataclass(slots=True)
class ServiceKeys:
    """The keys that services have had, from the facts of identity; revoked ones included."""

    _services: set[str] = field(default_factory=set)
    _keys: dict[str, tuple[str, PublicKey]] = field(default_factory=dict)

    def take(self, fact: PrincipalDeclared | KeyRegistered) -> None:
        """Take the next fact."""
        if isinstance(fact, PrincipalDeclared):
            if fact.kind == "service":
                self._services.add(fact.principal)
            return
        try:
            self._keys[fact.key] = (fact.principal, PublicKey.parse(fact.public_key))
        except InvalidKey:
            return  # identity registers no such key: what it signs is by an unknown one

    def find(self, key_id: str) -> tuple[str, PublicKey] | None:
        """Return the key, and the principal that it belongs to."""
        return self._keys.get(key_id)

    def is_of(self, principal: str, service: str) -> bool:
        """Return whether a key of ``principal`` may sign for ``service``."""
        return principal == service and principal in self._services

    def has_keys(self, service: str) -> bool:
        """Return whether ``service`` has ever had a key."""
        return any(self.is_of(principal, service) for principal, _ in self._keys.values())


@dataclass(slots=True)
class HeadCount:
    """The heads of one relay, and how many of them are verified."""

    heads: int = 0
    verified: int = 0
    unsigned: int = 0
    newest_verified: Head | None = None
    newest_unsigned: Head | None = None


class HeadCheck:
    """Takes the records of the topic of heads, and keeps nothing but counts and keys."""

    def __init__(self, keys: ServiceKeys, problems: Problems) -> None:
        """Verify with ``keys``; add what is wrong to ``problems``."""
        self.counts: dict[str, HeadCount] = {}
        self._keys = keys
        self._problems = problems
        self._revoked: dict[tuple[str, str], Place] = {}
        self._last_use: dict[tuple[str, str], dict[int, Place]] = {}

    @property
    def newest(self) -> list[Head]:
        """The newest head of every relay that has one; an unsigned one only if it signs none."""
        found = [one.newest_verified or one.newest_unsigned for one in self.counts.values()]
        return sorted((head for head in found if head is not None), key=lambda head: head.relay)

    def take(self, head: HeadPublished, record: SignedCopy) -> None:
        """Take the next head."""
        count = self.counts.setdefault(head.relay, HeadCount())
        count.heads += 1
        if not record.kept:
            return  # it counts as a head that is not verified
        try:
            key_id = self._verified(record, head.relay)
        except _Unproved as why:
            if why.kind == "head_not_signed" and not count.verified:
                count.unsigned += 1
                count.newest_unsigned = _newest(count.newest_unsigned, head)
            else:
                self._problem(why.kind, head.relay, record.place, why.detail)
            return
        use = (head.relay, key_id)
        revoked = self._revoked.get(use)
        if revoked is not None and not _is_before(record.place, revoked):
            detail = f"by the revoked key {key_id}"
            self._problem("head_revoked_key", head.relay, record.place, detail)
            return
        places = self._last_use.setdefault(use, {})
        places[record.place[1]] = max(record.place, places.get(record.place[1], record.place))
        count.verified += 1
        count.newest_verified = _newest(count.newest_verified, head)

    def revoke(self, revoked: HeadKeyRevoked, record: SignedCopy) -> None:
        """Take the revocation of a key that the relay has signed with."""
        use = (revoked.relay, revoked.key)
        if not record.kept:
            return
        try:
            self._verified(record, IDENTITY)
        except _Unproved as why:
            if why.kind == "head_not_signed" and not self._keys.has_keys(IDENTITY):
                return  # nothing is proved where nothing is signed
            self._problem(why.kind, IDENTITY, record.place, why.detail)
            return
        self._revoked.setdefault(use, record.place)
        # A record that is stored again later comes after those that follow it in Kafka. In another
        # partition nothing is known to be before it: heads of a relay have one key, and so one.
        for last in self._last_use.get(use, {}).values():
            if not _is_before(last, record.place):
                detail = f"by the key {revoked.key}, which was revoked before"
                self._problem("head_revoked_key", revoked.relay, last, detail)

    def close(self) -> None:
        """Name the relays that have a key and do not sign."""
        for relay, count in sorted(self.counts.items()):
            if count.unsigned and not count.verified and self._keys.has_keys(relay):
                self._problems.add(
                    Discrepancy(
                        "head_not_signed",
                        f"none of {relay}'s {count.heads} heads is signed, although it has a key",
                        {"relay": relay},
                    )
                )

    def _verified(self, record: SignedCopy, service: str) -> str:
        """Return the id of the key that has signed ``record`` for ``service``.

        Raises:
            _Unproved: nothing proves that the service has published it as it is.
        """
        signed = record.signed
        if signed is None or not _is_same(record, signed):
            raise _Unproved("head_altered", "not as it was published: its copy was changed")
        headers = [(name, _raw(value)) for name, value in signed["headers"]]
        try:
            signature = signature_of(headers)
            known = self._keys.find(signature.key_id)
            if known is None:
                raise _Unproved("head_unknown_key", f"by the unknown key {signature.key_id}")
            principal, key = known
            if not self._keys.is_of(principal, service):
                detail = f"by the key {signature.key_id} of {principal}"
                raise _Unproved("head_foreign_key", detail)
            verify(
                key,
                signature,
                topic=record.place[0],
                record_key=_raw(signed["key"]),
                headers=headers,
                value=_raw(signed["value"]),
            )
        except BadSignature as error:
            if error.code == "unsigned":
                raise _Unproved("head_not_signed", "not at all") from error
            raise _Unproved("head_forged", f"invalidly: {error.detail.rstrip('.')}") from error
        if record.source != f"{OWN_SOURCES}{service}":
            raise _Unproved("head_foreign_key", f"by {service}, but its source is {record.source}")
        return signature.key_id

    def _problem(self, kind: Kind, relay: str, place: Place, how: str) -> None:
        topic, partition, offset = place
        where = {"topic": topic, "partition": partition, "offset": offset}
        detail = f"the head of {relay} at {topic}/{partition}/{offset} is signed {how}"
        if kind == "head_altered":
            detail = f"the head of {relay} at {topic}/{partition}/{offset} is {how}"
        self._problems.add(Discrepancy(kind, detail, {"relay": relay, **where}))


class _Unproved(Exception):
    """A signature proves nothing: ``kind`` and ``detail`` say why."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind: Kind = kind
        self.detail = detail


def _newest(known: Head | None, head: HeadPublished) -> Head:
    if known is not None and known.sequence >= head.sequence:
        return known
    return Head(head.relay, head.sequence, head.digest)


def _is_before(place: Place, other: Place) -> bool:
    """Return whether ``place`` comes before ``other`` in the same partition."""
    return place[:2] == other[:2] and place[2] < other[2]


def _is_same(record: SignedCopy, signed: Mapping[str, Any]) -> bool:
    """Return whether the parts of the copy are those of one record."""
    value = (signed["value"] or "").encode()
    if hashlib.sha256(value).hexdigest() != record.digest:
        return False
    return bool(value) and load_json(value) == record.data


def _raw(text: str | None) -> bytes | None:
    return None if text is None else text.encode()

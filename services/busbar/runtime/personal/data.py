"""Seals and opens personal values.

The ciphertext is AES-256-SIV (RFC 5297): deterministic, so that the same intent is stored as the
same bytes again. It is bound to the team that the value belongs to; copied into another team's
resource, it does not open.
"""

import base64
import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from busbar.kernel.errors import Reject
from busbar.kernel.personal import (
    ERASED,
    SEALED,
    is_pseudonym,
    parts_of,
    replaced,
    sealed_in,
    without_text,
)
from busbar.kernel.personal_marks import personal_values
from busbar.runtime.personal.marks import PromiseMarks
from busbar.runtime.secrets.subjects import KEY_BYTES, SubjectKeys

_LAYER: Final = b"busbar-personal/1\n"
"""Begins the bytes of a record that is encrypted with the keys of its subjects."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A tree with its personal values in clear.

    ``values`` are the sealed texts by the text in clear; ``unreadable`` are the pseudonyms of
    values that could not be opened: erased, or not sealed for this team.
    """

    tree: Any = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    unreadable: tuple[str, ...] = ()


class PersonalData:
    """The personal data of one installation: marked by ``marks``, encrypted with ``keys``.

    Every method raises :class:`StoreUnavailable` if the keys cannot be reached. Without personal
    fields, nothing is ever looked up.
    """

    def __init__(self, marks: PromiseMarks, keys: SubjectKeys) -> None:
        self._marks = marks
        self._keys = keys

    async def close(self) -> None:
        """Close every connection."""
        await self._keys.close()

    async def seal(self, data: Any, *, at: datetime | None = None) -> Any:
        """Return the data of an intent with its personal values sealed; ``data`` is not changed.

        What is sealed already stays as it is, so that several services may do it.

        ``at`` is when it was published, if that was earlier: what precedes an erasure stays
        unreadable.
        """
        if not self._marks.any and not _names_a_person(data):
            return data
        if not isinstance(data, dict):
            return without_text(data)  # no intent has such data: what is in it is not known
        sealed = await self._with_sealed_spec(data, at)
        return await self._with_pseudonym(sealed) if _names_a_person(sealed) else sealed

    async def _with_sealed_spec(self, data: dict[str, Any], at: datetime | None) -> dict[str, Any]:
        """Return ``data`` with its spec sealed. The type is not asked for: it may be misspelt."""
        spec = data.get("spec")
        marks = self._marks.of(data.get("promise"), data.get("version"))
        if spec is None or not marks:
            return data
        if not isinstance(spec, dict):
            return {**data, "spec": without_text(spec)}
        found = list(personal_values(spec, marks))
        if not found:
            return data
        texts = {one.subject for one in found if one.text is not None}
        subjects = {text: await self._keys.subject_of(text) for text in texts}
        keys = await self._keys.ensure(set(subjects.values()), at=at) if subjects else {}
        spec, team = deepcopy(spec), str(data.get("team"))
        for one in found:
            *above, last = one.place
            container = spec
            for part in above:
                container = container[part]
            if one.text is None:
                container[last] = without_text(container[last])
                continue
            subject = subjects[one.subject]
            container[last] = {SEALED: _sealed(one.text, subject, keys[subject], team)}
        return {**data, "spec": spec}

    async def open(self, tree: Any, team: str) -> Opened:
        """Return ``tree``, which belongs to ``team``, with its personal values in clear.

        A value that cannot be opened becomes ``{"$erased": <pseudonym>}``.
        """
        texts = set(sealed_in(tree))
        if not texts:
            return Opened(tree)
        keys = await self._keys.find({parts_of(text)[0] for text in texts})
        values: dict[str, Any] = {}
        unreadable: set[str] = set()
        for text in texts:
            subject, _ = parts_of(text)
            plain = _opened(text, keys.get(subject), team)
            values[text] = {ERASED: subject} if plain is None else plain
            if plain is None:
                unreadable.add(subject)
        clear = {value: text for text, value in values.items() if isinstance(value, str)}
        return Opened(replaced(tree, values), clear, tuple(sorted(unreadable)))

    async def erase(self, subject: str, *, operation: str) -> bool:
        """Make the data of ``subject`` (its pseudonym, ``subject:<32 digits>``) unreadable.

        Returns whether there was any. It is durable on return, and safe to repeat.
        """
        return await self._keys.erase(subject.removeprefix("subject:"), operation=operation)

    async def seal_record(self, packed: bytes, data: Any) -> bytes:
        """Encrypt a record as a whole with the keys of the subjects in its data.

        A record without personal values in clear is returned as it is.
        """
        subjects = await self._subjects_in(data)
        if not subjects:
            return packed
        keys = await self._keys.ensure(subjects)
        head = json.dumps(sorted(subjects)).encode()
        body = AESSIV(_joined(keys, subjects)).encrypt(packed, [head])
        return _LAYER + len(head).to_bytes(4, "big") + head + body

    async def open_record(self, sealed: bytes) -> bytes:
        """Return what :meth:`seal_record` was given.

        Raises:
            Reject: one of its subjects was erased (``erased``).
        """
        if not sealed.startswith(_LAYER):
            return sealed
        begin = len(_LAYER) + 4
        end = begin + int.from_bytes(sealed[len(_LAYER) : begin], "big")
        subjects = set(json.loads(sealed[begin:end]))
        keys = await self._keys.find(subjects)
        if keys.keys() >= subjects:
            try:
                return AESSIV(_joined(keys, subjects)).decrypt(sealed[end:], [sealed[begin:end]])
            except InvalidTag:
                pass  # encrypted with keys from before an erasure
        raise Reject(
            "erased", "the record has personal data of a subject that was erased: discard it"
        )

    async def _with_pseudonym(self, data: dict[str, Any]) -> dict[str, Any]:
        named = data["subject"]
        if not isinstance(named, str):
            return {**data, "subject": without_text(named)}  # it stays invalid
        if not named.strip() or is_pseudonym(named):
            return {**data, "subject": named.strip()}
        return {**data, "subject": f"subject:{await self._keys.subject_of(named)}"}

    async def _subjects_in(self, data: Any) -> set[str]:
        if not isinstance(data, dict):
            return set()
        named = data.get("subject")
        found = {named} if isinstance(named, str) and not is_pseudonym(named) else set()
        marks = self._marks.of(data.get("promise"), data.get("version"))
        values = personal_values(data.get("spec"), marks)
        found |= {one.subject for one in values if one.text is not None}
        return {await self._keys.subject_of(text) for text in found if text.strip()}


def _names_a_person(data: Any) -> bool:
    """Return whether ``data`` is about a person: no other intent has the field ``subject``."""
    return isinstance(data, dict) and "subject" in data


def _sealed(text: str, subject: str, key: bytes, team: str) -> str:
    # SIV refuses to encrypt nothing in some builds of OpenSSL, and text may be empty.
    plain = b"\0" + text.encode("utf-8", "surrogatepass")
    ciphertext = AESSIV(key).encrypt(plain, _about(team, subject))
    return f"v1.{subject}.{base64.urlsafe_b64encode(ciphertext).rstrip(b'=').decode()}"


def _opened(text: str, key: bytes | None, team: str) -> str | None:
    subject, encoded = parts_of(text)
    if key is None:
        return None
    try:
        ciphertext = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        plain = AESSIV(key).decrypt(ciphertext, _about(team, subject))
    except (InvalidTag, ValueError):
        return None
    return plain[1:].decode("utf-8", "surrogatepass")


def _about(team: str, subject: str) -> list[bytes]:
    """Return what a ciphertext is bound to."""
    return [team.encode("utf-8", "surrogatepass"), subject.encode()]


def _joined(keys: dict[str, bytes], subjects: Collection[str]) -> bytes:
    """Return one key that takes the keys of all ``subjects`` to make."""
    together = b"".join(keys[subject] for subject in sorted(subjects))
    return HKDFExpand(algorithm=SHA512(), length=KEY_BYTES, info=_LAYER).derive(together)

"""The records of the vectors that a verifier refuses, by the code of the refusal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tools.contracts.signing import accepted as good
from tools.contracts.signing import edwards
from tools.contracts.signing.accepted import PLAIN, SIGNED
from tools.contracts.signing.record import (
    FIRST,
    SECOND,
    SIGNATURE,
    Header,
    Record,
    header,
    id_of,
    signed,
    signed_bytes,
)

_ID: Final = id_of(FIRST.public)
_RAW: Final = FIRST.sign(signed_bytes(PLAIN, _ID))
_OTHER_SOURCE: Final[Header] = ("ce_source", b"urn:team:search")
_STRUCTURED: Final = replace(
    PLAIN,
    headers=(("content-type", b"application/cloudevents+json; charset=UTF-8"),),
    value=b'{"specversion":"1.0","id":"orders-1","source":"urn:team:payments",'
    b'"type":"busbar.resource.apply.v1"}',
)

Refused = Mapping[str, Record]


def unsigned() -> Refused:
    """Return records without a signature."""
    return {
        "not signed": PLAIN,
        "a structured event, not signed": _STRUCTURED,
        "a signature under a name in upper case": SIGNED.renaming(SIGNATURE, "CE_BUSBARSIG"),
    }


def forged() -> Refused:
    """Return records that were changed after they were signed, or signed by another key."""
    return {**_changed(), **_swapped(), **_by_others()}


def _changed() -> Refused:
    return {
        "another topic": replace(SIGNED, topic="busbar.intents.subscription"),
        "another key": replace(SIGNED, key=b"search/dev/event-stream/orders"),
        "the key removed": replace(SIGNED, key=None),
        "another value": replace(SIGNED, value=(PLAIN.value or b"").replace(b"6", b"7")),
        "a space more in the value": replace(SIGNED, value=(PLAIN.value or b"") + b" "),
        "the value removed": replace(SIGNED, value=None),
        "another id": SIGNED.having("ce_id", b"orders-2"),
        "another source": SIGNED.having(*_OTHER_SOURCE),
        "another type": SIGNED.having("ce_type", b"busbar.resource.delete.v1"),
        "another subject": SIGNED.having("ce_subject", b"payments/dev/event-stream/other"),
        "the subject removed": SIGNED.lacking("ce_subject"),
        "another time within the second": SIGNED.having("ce_time", b"2026-01-31T12:00:00.123457Z"),
        "the same time, written in another way": SIGNED.having(
            "ce_time", b"2026-01-31T13:00:00.123456+01:00"
        ),
        "another content-type": SIGNED.having("content-type", b"application/vnd.other+json"),
        "content-type removed": SIGNED.lacking("content-type"),
        "an extension added": SIGNED.adding(("ce_authid", b"root")),
        "an extension renamed": signed(good.AB_C).renaming("ce_x", "ce_z"),
        "an extension removed": signed(good.AB_C).lacking("ce_y"),
    }


def _swapped() -> Refused:
    """Records with the signature of another that differs in something that is easy to lose."""
    pairs = {
        "an empty subject for none": (good.NO_SUBJECT, good.EMPTY_SUBJECT),
        "no subject for an empty one": (good.EMPTY_SUBJECT, good.NO_SUBJECT),
        "an empty key for none": (good.NO_KEY, good.EMPTY_KEY),
        "no key for an empty one": (good.EMPTY_KEY, good.NO_KEY),
        "an empty value for none": (good.NO_VALUE, good.EMPTY_VALUE),
        "no value for an empty one": (good.EMPTY_VALUE, good.NO_VALUE),
        "NFD for NFC": (good.COMPOSED, good.DECOMPOSED),
        "NFC for NFD": (good.DECOMPOSED, good.COMPOSED),
        "a and bc for ab and c": (good.AB_C, good.A_BC),
        "an attribute a with bc for ab with c": (good.NAME_AB, good.NAME_A),
        "topic a and key bc for ab and c": (good.TOPIC_AB, good.TOPIC_A),
    }
    return {
        name: sent.adding((SIGNATURE, signed(meant).signature))
        for name, (meant, sent) in pairs.items()
    }


def _by_others() -> Refused:
    second = id_of(SECOND.public)
    signatures = {
        "a bit of R changed": bytes([_RAW[0] ^ 1]) + _RAW[1:],
        "a bit of S changed": _RAW[:32] + bytes([_RAW[32] ^ 1]) + _RAW[33:],
        "the order of the group added to S": _RAW[:32] + _scalar(_s(_RAW) + edwards.ORDER),
        "a point of small order added to R": _mixed(),
        "R and S zero": bytes(64),
    }
    return {
        "signed by another key": signed(PLAIN, SECOND),
        "signed by another key in the name of this one": signed(PLAIN, SECOND, key_id=_ID),
        "the id of another key": PLAIN.adding(header(second, _RAW)),
        "the id of another key, signed as well": signed(PLAIN, key_id=second),
        **{name: PLAIN.adding(header(_ID, raw)) for name, raw in signatures.items()},
    }


def malformed() -> Refused:
    """Return records that say in several ways, or in none, what they are."""
    return {**_ambiguous(), **_not_binary(), **_misspelt()}


def _ambiguous() -> Refused:
    source = SIGNED.headers[2]
    return {
        "a header twice, alike": SIGNED.adding(source),
        "a header twice, the signed one first": SIGNED.adding(_OTHER_SOURCE),
        "a header twice, the signed one last": replace(
            SIGNED, headers=(_OTHER_SOURCE, *SIGNED.headers)
        ),
        "content-type twice": SIGNED.adding(("content-type", b"application/json")),
        "the signature twice": SIGNED.adding((SIGNATURE, SIGNED.signature)),
        "an unsigned attribute twice": good.TRACED.adding(("ce_sequence", b"2")),
        "a header in upper case": SIGNED.renaming("ce_source", "CE_SOURCE"),
        "a header in upper case beside the signed one": SIGNED.adding(
            ("Ce_Source", b"urn:team:search")
        ),
        "content-type in upper case": SIGNED.renaming("content-type", "Content-Type"),
        "the signature in upper case beside the right one": SIGNED.adding(
            ("ce_Busbarsig", SIGNED.signature)
        ),
        "a header without a value": SIGNED.adding(("ce_comment", None)),
        "a signed header without a value": SIGNED.having("ce_subject", None),
        "content-type without a value": SIGNED.having("content-type", None),
        "an unsigned attribute without a value": SIGNED.adding(("ce_sequence", None)),
        "the signature without a value": SIGNED.having(SIGNATURE, None),
        "ce_datacontenttype beside content-type": SIGNED.adding(
            ("ce_datacontenttype", b"application/json")
        ),
        "ce_datacontenttype for content-type": SIGNED.renaming(
            "content-type", "ce_datacontenttype"
        ),
    }


def _not_binary() -> Refused:
    types = {
        "a structured content-type beside ce_ headers": b"application/cloudevents+json",
        "the same in upper case, after a blank": b" Application/CloudEvents+JSON",
        "a batch beside ce_ headers": b"application/cloudevents-batch+json",
    }
    return {
        "a structured event": signed(_STRUCTURED),
        "without specversion": signed(PLAIN.lacking("ce_specversion")),
        **{
            name: signed(PLAIN.having("content-type", content_type))
            for name, content_type in types.items()
        },
    }


def _misspelt() -> Refused:
    names = ("ce_", "ce_with-hyphen", "ce_with_underscore", "ce_gr\u00fc\u00df", "ce_x ", "ce_X")
    _, start, encoded = SIGNED.signature.decode().split(".")
    forms = {
        "the signature empty": "",
        "the version v2": f"v2.{start}.{encoded}",
        "the version in upper case": f"V1.{start}.{encoded}",
        "no version": f"{start}.{encoded}",
        "a fourth part": f"v1.{start}.{encoded}.x",
        "a key id that is too short": f"v1.{start[:-1]}.{encoded}",
        "a key id that is too long": f"v1.{start}0.{encoded}",
        "a key id in upper case": f"v1.{start.upper()}.{encoded}",
        "a key id that is not hexadecimal": f"v1.{'g' * 32}.{encoded}",
        "base64 with padding": f"v1.{start}.{encoded}==",
        "base64 whose unused bits are not 0": f"v1.{start}.{encoded[:-1]}{_next(encoded[-1])}",
        "base64 in the standard alphabet": f"v1.{start}.{_standard(encoded)}",
        "base64 that is too short": f"v1.{start}.{encoded[:-1]}",
        "base64 that is too long": f"v1.{start}.{encoded}A",
        "base64 with a line break": f"v1.{start}.{encoded}\n",
        "a blank before the signature": f" v1.{start}.{encoded}",
        "a signature that is not ASCII": f"v1.{start}.{encoded[:-1]}\u00e4",
    }
    return {
        **{f"the header {name}": signed(PLAIN.adding((name, b"1"))) for name in names},
        **{name: SIGNED.having(SIGNATURE, form.encode()) for name, form in forms.items()},
    }


_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _next(digit: str) -> str:
    return _DIGITS[_DIGITS.index(digit) + 1]


def _standard(encoded: str) -> str:
    found = encoded.replace("-", "+").replace("_", "/")
    if found == encoded:
        raise ValueError("this signature is the same in both alphabets; sign something else")
    return found


def small_order() -> Record:
    """Return a record that anyone can sign under the neutral point: R is neutral, S is 0."""
    public = edwards.encode((0, 1))
    return PLAIN.adding(header(id_of(public), public + bytes(32)))


def _mixed() -> bytes:
    """Return a signature that fits only if both sides are multiplied by the cofactor."""
    public = FIRST.public
    nonce = 1 + edwards.challenge(b"nonce", public, b"")
    commitment = edwards.encode(edwards.add(edwards.times(nonce, edwards.BASE), edwards.small()[1]))
    challenge = edwards.challenge(commitment, public, signed_bytes(PLAIN, _ID))
    return commitment + _scalar(
        (nonce + challenge * edwards.secret_scalar(FIRST.seed)) % edwards.ORDER
    )


def _s(signature: bytes) -> int:
    return int.from_bytes(signature[32:], "little")


def _scalar(number: int) -> bytes:
    return number.to_bytes(32, "little")

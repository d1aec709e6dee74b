"""The keys of the vectors: those that prove something, and those that a verifier refuses."""

import base64
from collections.abc import Mapping

from tools.contracts.signing import edwards
from tools.contracts.signing.record import FIRST, KnownKey, text_of

_FIELD_BYTES = 32


def refused_keys() -> Mapping[str, str]:
    """Return the texts of keys that have to be refused, by name."""
    return {**_small(), **_not_points(), **_texts()}


def _small() -> Mapping[str, str]:
    """Points of small order: eight, in all the ways in which they can be written."""
    order = (1, 8, 4, 8, 2, 8, 4, 8)
    found = {
        f"order {order[number]}, {number} times the point of order 8": edwards.encode(point)
        for number, point in enumerate(edwards.small())
    }
    found |= {
        f"order 4, y is p, x is {parity}": edwards.encode_y(edwards.P, odd=parity == "odd")
        for parity in ("even", "odd")
    }
    found |= {
        f"order 1, y is p + 1, x is {parity}": edwards.encode_y(edwards.P + 1, odd=parity == "odd")
        for parity in ("even", "odd")
    }
    found |= {
        "order 1, x is 0 and said to be odd": edwards.encode_y(1, odd=True),
        "order 2, x is 0 and said to be odd": edwards.encode_y(edwards.P - 1, odd=True),
    }
    return {name: text_of(raw) for name, raw in found.items()}


def _not_points() -> Mapping[str, str]:
    return {
        "not on the curve, y is 2": text_of(edwards.encode_y(2, odd=False)),
        "not on the curve, y is p - 2": text_of(edwards.encode_y(edwards.P - 2, odd=True)),
        "a point of the curve, y is p + 3": text_of(edwards.encode_y(edwards.P + 3, odd=False)),
        "all bits are 1": text_of(b"\xff" * _FIELD_BYTES),
    }


def _texts() -> Mapping[str, str]:
    with_both = _key_with_dashes()
    text = text_of(FIRST.public)
    return {
        "empty": "",
        "31 bytes": text_of(FIRST.public[:-1]),
        "33 bytes": text_of(FIRST.public + b"\0"),
        "in hexadecimal": FIRST.public.hex(),
        "with padding": f"{text}=",
        "with a line break": f"{text}\n",
        "unused bits that are not 0": text[:-1] + chr(ord(text[-1]) + 1),
        "in the standard alphabet": base64.b64encode(with_both).rstrip(b"=").decode(),
        "with a character that is not ASCII": f"{text[:-1]}\u00e4",
    }


def _key_with_dashes() -> bytes:
    """Return the first of some keys whose text differs between the two alphabets."""
    keys = (KnownKey(f"busbar test key with dashes {number}").public for number in range(100))
    return next(key for key in keys if {"-", "_"} & set(text_of(key)))

"""Check that 32 bytes are a public key that only its owner can sign for.

RFC 8032 section 5.1.3 decodes a point of edwards25519. Under a key of small order, every message
has a valid signature that anyone can make; libraries accept such keys, so they are refused when a
key is read. The check takes a fifth of a millisecond, once for each key.
"""

from typing import Final

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SIGN_BIT: Final = 1 << 255
_DOUBLINGS: Final = 3  # the cofactor is 8


def weakness_of(encoded: bytes) -> str | None:
    """Return why ``encoded``, 32 bytes, is refused as a public key; None if it is not."""
    number = int.from_bytes(encoded, "little")
    y = number & ~_SIGN_BIT
    if y >= _P:
        return "is not the canonical encoding of a point"
    x = _x_of(y)
    if x is None or (x == 0 and number & _SIGN_BIT):
        return "is not a point of the curve"
    point = x, y
    for _ in range(_DOUBLINGS):
        point = _double(*point)
    return "has small order: anyone could sign for it" if point == (0, 1) else None


def _x_of(y: int) -> int | None:
    """Return one of the two x of the points with this ``y``; None if there is no such point."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return x if x * x % _P == square else None


def _double(x: int, y: int) -> tuple[int, int]:
    """Return twice the point (x, y), by the complete addition law of the curve."""
    both = _D * x * x * y * y % _P
    return (
        2 * x * y * pow(1 + both, -1, _P) % _P,
        (y * y + x * x) * pow(1 - both, -1, _P) % _P,
    )

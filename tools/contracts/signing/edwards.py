"""Points of edwards25519 (RFC 8032, section 5.1), to make what no library makes.

Slow, and not in constant time: for the keys of vectors and tests only.
"""

import hashlib
from typing import Final

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
COFACTOR: Final = 8

Point = tuple[int, int]

BASE: Final[Point] = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_ORDER_8_Y: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022


def add(one: Point, other: Point) -> Point:
    """Return the sum of two points; the law is complete."""
    (x1, y1), (x2, y2) = one, other
    both = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + both, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P


def times(number: int, point: Point) -> Point:
    """Return ``number`` times ``point``."""
    total: Point = (0, 1)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def encode(point: Point) -> bytes:
    """Return the 32 bytes of ``point``."""
    x, y = point
    return encode_y(y, odd=bool(x & 1))


def encode_y(y: int, *, odd: bool) -> bytes:
    """Return ``y`` and the bit that says whether x is odd, whatever they stand for."""
    return (y | odd << 255).to_bytes(32, "little")


def secret_scalar(seed: bytes) -> int:
    """Return the scalar whose multiple of the base is the public key of ``seed``."""
    number = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return number & (2**254 - 8) | 2**254


def challenge(commitment: bytes, public: bytes, message: bytes) -> int:
    """Return the scalar that a signature multiplies the key with."""
    digest = hashlib.sha512(commitment + public + message).digest()
    return int.from_bytes(digest, "little") % ORDER


def small() -> list[Point]:
    """Return the eight points whose order divides the cofactor, the neutral one first."""
    one = _x(_ORDER_8_Y), _ORDER_8_Y
    return [times(number, one) for number in range(COFACTOR)]


def _x(y: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    return x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P

"""Keys are points of the curve, written in the one way, and not of small order."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.messages.signing.curve import weakness_of
from tools.contracts.signing import edwards
from tools.contracts.signing.edwards import BASE, ORDER, P

SCALARS = st.integers(1, ORDER - 1)


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_the_points_of_the_tools_are_those_of_the_library(seed: bytes) -> None:
    point = edwards.times(edwards.secret_scalar(seed), BASE)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert edwards.encode(point) == key.public_key().public_bytes_raw()


@given(SCALARS)
@settings(max_examples=30)
def test_a_multiple_of_the_base_is_accepted(scalar: int) -> None:
    assert weakness_of(edwards.encode(edwards.times(scalar, BASE))) is None


@given(SCALARS, st.integers(1, 7))
@settings(max_examples=30)
def test_a_point_outside_of_the_group_of_the_base_is_accepted(scalar: int, number: int) -> None:
    """Only its owner can sign for it, so it needs no refusal."""
    point = edwards.add(edwards.times(scalar, BASE), edwards.small()[number])
    assert weakness_of(edwards.encode(point)) is None


@given(y=st.integers(0, P - 1), odd=st.booleans())
def test_what_is_accepted_is_on_the_curve_and_the_rest_is_not(y: int, *, odd: bool) -> None:
    # Euler's criterion: x² = (y² - 1) / (dy² + 1) has a root, or is 0.
    has_point = pow((y * y - 1) * (edwards.D * y * y + 1), (P - 1) // 2, P) == 1
    found = weakness_of(edwards.encode_y(y, odd=odd))
    few = y in {y for _, y in edwards.small()}
    assert few or found == (None if has_point else "is not a point of the curve")


@pytest.mark.parametrize("number", range(8))
def test_a_point_of_small_order_is_refused(number: int) -> None:
    point = edwards.small()[number]
    assert edwards.times(8, point) == (0, 1)
    assert (weakness_of(edwards.encode(point)) or "").startswith("has small order")


@given(y=st.integers(P, 2**255 - 1), odd=st.booleans())
@settings(max_examples=40)
def test_a_y_that_is_not_reduced_is_refused(y: int, *, odd: bool) -> None:
    assert weakness_of(edwards.encode_y(y, odd=odd)) == "is not the canonical encoding of a point"


@pytest.mark.parametrize("y", [1, P - 1])
def test_a_zero_that_is_said_to_be_odd_is_refused(y: int) -> None:
    assert weakness_of(edwards.encode_y(y, odd=True)) == "is not a point of the curve"

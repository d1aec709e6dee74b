from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.text import MAX_SHOWN, counted, truncate


@given(st.text(), st.integers(min_value=1, max_value=100))
def test_a_text_is_kept_if_it_fits_and_else_ends_in_an_ellipsis(text: str, limit: int) -> None:
    shown = truncate(text, limit)
    if len(text) <= limit:
        assert shown == text
    else:
        assert len(shown) == limit
        assert shown == text[: limit - 1] + "…"


def test_a_message_repeats_eighty_characters_at_most() -> None:
    assert MAX_SHOWN == 80
    assert truncate("x" * 80) == "x" * 80
    assert truncate("x" * 81) == "x" * 79 + "…"


def test_one_is_counted_in_the_singular() -> None:
    shown = [counted(number, "delivery", "deliveries") for number in (0, 1, 1234.0)]
    assert shown == ["0 deliveries", "1 delivery", "1,234 deliveries"]
    assert (counted(1, "key"), counted(2, "key")) == ("1 key", "2 keys")

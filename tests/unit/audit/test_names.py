"""A record is indexed in the copy only by valid names."""

from hypothesis import given, settings
from hypothesis import strategies as st

from busbar.audit.handlers.copy import _resource
from busbar.kernel.resource import ResourceId
from busbar.messages.envelope import Envelope

PART = st.from_regex(r"[a-z0-9-]{0,64}", fullmatch=True) | st.text(max_size=3)
TEXTS = st.lists(PART, min_size=3, max_size=5).map("/".join)
GOOD = st.lists(st.from_regex(r"[a-z0-9]{1,63}", fullmatch=True), min_size=4, max_size=4)


@settings(deadline=None, max_examples=500)
@given(TEXTS | GOOD.map("/".join), st.sampled_from(["", "\n", "/", " "]))
def test_a_record_is_found_under_the_resource_it_names_if_that_is_one(text: str, end: str) -> None:
    named = text + end
    envelope = Envelope(id="1", source="/s", type="t", data={"resource": named})
    try:
        expected = str(ResourceId.parse(named))
    except ValueError:
        assert _resource(envelope) is None
    else:
        assert _resource(envelope) == expected == named

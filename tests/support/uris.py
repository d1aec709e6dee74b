"""URI references of all forms, for property-based tests."""

from urllib.parse import quote

from hypothesis import strategies as st

_characters = st.characters(exclude_categories=["Cc", "Cs", "Cn"])
_paths = st.text(_characters, max_size=20).map(lambda text: quote(text, safe="/:@!$&'()*+,;=-._~"))
_ends = st.sampled_from(["", "?", "?a=b/c?d", "#", "?q#f/?"])
_hosts = st.sampled_from(["", "example.com", "a@b:80", "[::1]:9092", "127.0.0.1", "caf%C3%A9"])

absolute = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "s3+x-1.y://", "HTTP://"]).flatmap(
        lambda scheme: _hosts.map(scheme.__add__)
    ),
    st.just("/"),
    _paths,
    _ends,
) | st.builds("urn:x{}{}".format, _paths, _ends)
"""URIs with a scheme."""

references = absolute | st.builds(
    "{}{}{}".format,
    st.sampled_from(["x", "/x", "./", "../x", "1-555", "//example.com/"]),
    _paths.map(lambda path: path.replace(":", "")),
    _ends,
)
"""URIs and relative references; none of them is empty."""

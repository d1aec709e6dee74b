"""The glossary explains each of our words once, in order, and says where it lives."""

import re

import pytest

from meta.checkout import ROOT, text
from meta.markdown import links

GLOSSARY = ROOT / "docs" / "glossary.md"
_FLAGS = re.MULTILINE | re.DOTALL
ENTRY = re.compile(r"^- \*\*(?P<term>[^*]+)\*\*: (?P<meaning>.+?)(?=^- |\Z)", _FLAGS)
ENTRIES = [
    (match["term"], " ".join(match["meaning"].split())) for match in ENTRY.finditer(text(GLOSSARY))
]
ESSENTIAL = frozenset(
    {
        *("checkpoint", "dead letter", "drift", "epoch", "fact", "fence", "generation", "guard"),
        *("head", "inbox", "instance", "intent", "lease", "operation", "ordering key", "parking"),
        *("projection", "promise", "redrive", "relay", "resource", "saga", "seal", "sequence"),
        *("step", "undo", "xid horizon"),
    }
)
MOST_CHARS = 320


def test_terms_stand_in_the_order_of_the_alphabet_and_once() -> None:
    terms = [term.lower() for term, _ in ENTRIES]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize(("term", "meaning"), ENTRIES)
def test_an_entry_is_short_and_says_where_its_word_lives(term: str, meaning: str) -> None:
    said = re.sub(r"\]\([^)]*\)", "]", meaning)
    assert len(said) <= MOST_CHARS, term
    assert list(links(meaning)), term


def test_the_words_that_everything_is_explained_with_are_in_it() -> None:
    known = {part.strip().lower() for term, _ in ENTRIES for part in term.split(",")}
    assert known >= ESSENTIAL


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_newcomers_are_sent_to_it(page: str) -> None:
    assert any(target.endswith("glossary.md") for _, target in links(text(ROOT / page)))

"""Every relative link in the documentation leads somewhere."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from meta.checkout import ROOT, below, place, text
from meta.markdown import anchors, blocks, inline_code, links

PAGES = below(".", suffix=".md")


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_a_relative_link_leads_to_a_file_and_to_its_heading(page: Path) -> None:
    lost = []
    for line, target in links(text(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, fragment = unquote(target).partition("#")
        there = (page.parent / name).resolve() if name else page
        inside = there.is_relative_to(ROOT) and there.exists()
        known = not fragment or (there.suffix == ".md" and fragment in anchors(text(there)))
        if not inside or not known:
            lost.append(f"{place(page, line)} {target}")
    assert not lost


def test_links_code_and_headings_are_found() -> None:
    page = "# A b: c\n[x](y.md#z)\n`[no](no.md)`\n```sh\n[no](no.md)\n```\n[r]: s.md\n## A b: c\n"
    assert list(links(page)) == [(2, "y.md#z"), (7, "s.md")]
    assert list(inline_code(page)) == [(3, "[no](no.md)")]
    assert [(block.language, block.line, block.code) for block in blocks(page)] == [
        ("sh", 5, "[no](no.md)")
    ]
    assert anchors(page) == {"a-b-c", "a-b-c-1"}

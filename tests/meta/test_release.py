"""``make release`` from a copy of this checkout: all of it is done, or nothing."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from meta.checkout import ROOT
from meta.checkout_copy import Copy
from tools.contracts.status_notes import NOTES

pytestmark = pytest.mark.timeout(600)

FRAGMENT = "Something was fixed,\nand this text has two lines.\n\nAnd in two paragraphs.\n"
FIRST, SECOND = "900.0.0", "900.0.1"


def copied(source: Copy, target: Path) -> Copy:
    """Return a copy of the repository ``source``, its history included."""
    leave_out = shutil.ignore_patterns(".mypy_cache", "__pycache__")
    shutil.copytree(source.root, target, symlinks=True, ignore=leave_out)
    return Copy(target)


def state(copy: Copy) -> str:
    """Everything that a release that failed must not have changed."""
    return copy.shell(
        "git status --porcelain --branch; git for-each-ref; git rev-parse HEAD; git diff HEAD;"
        " git worktree list; git ls-files | xargs sha256sum"
    )


def refused(copy: Copy, command: str) -> str:
    """Run ``command``, which has to fail; return what it prints."""
    return copy.shell(f"if {command}; then exit 9; fi")


def with_text(copy: Copy, text: str) -> set[str]:
    """Return the files that contain ``text``."""
    return set(copy.shell(f"git grep --files-with-matches --fixed-strings {text}").split())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of this checkout on main, with one fragment of its own."""
    copy = Copy.make(tmp_path_factory.mktemp("base") / "checkout")
    (copy.root / "changelog.d" / "tried.fixed.md").write_text(FRAGMENT, encoding="utf-8")
    copy.shell("git branch -m main && git add --all && git commit --quiet -m 'Tried'")
    return copy


@pytest.fixture(scope="module")
def released(base: Copy, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which one release was made."""
    copy = copied(base, tmp_path_factory.mktemp("released") / "checkout")
    said = copy.shell(f"make release VERSION={FIRST}")
    assert f"released {FIRST}" in said
    assert "nothing was pushed" in said
    return copy


def test_a_release_is_one_commit_and_its_annotated_tag(base: Copy, released: Copy) -> None:
    before = base.shell("git rev-parse main").strip()
    assert released.shell("git rev-parse main~1 HEAD~1").split() == [before, before]
    assert released.shell("git status --porcelain --branch").strip() == "## main"
    assert released.shell(f"git cat-file -t v{FIRST}").strip() == "tag"
    assert released.shell(f"git rev-parse v{FIRST}^{{commit}} HEAD | uniq | wc -l").strip() == "1"
    assert len(released.shell("git worktree list").splitlines()) == 1
    assert "### Fixed" in released.shell(f"git cat-file -p v{FIRST}")


def test_its_message_passes_the_hook(released: Copy) -> None:
    message = released.shell("git log -1 --format=%B")
    assert message.startswith(f"release: publish {FIRST}\n\n")
    released.shell("git log -1 --format=%B > .venv/message && .githooks/commit-msg .venv/message")
    assert max(map(len, message.splitlines())) <= 72


def test_the_changelog_has_the_fragments_word_for_word_and_they_are_gone(released: Copy) -> None:
    changelog = (released.root / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *more = FRAGMENT.strip().split("\n")
    item = "\n".join([f"- {first}", *(f"  {line}".rstrip() for line in more)])
    day = released.shell("git log -1 --format=%cs").strip()
    part = changelog[changelog.index(f"## [{FIRST}] – {day}\n") :]  # noqa: RUF001 - as it is written
    assert f"\n{item}\n" in part
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{FIRST}]")
    assert [file.name for file in (released.root / "changelog.d").iterdir()] == ["README.md"]


def test_the_formats_are_published_wherever_they_say_their_status(released: Copy) -> None:
    root = released.root
    schema = json.loads((root / "schemas/resource/apply/v1.json").read_text(encoding="utf-8"))
    openapi = json.loads((root / "contracts/openapi.json").read_text(encoding="utf-8"))
    asyncapi = yaml.safe_load((root / "contracts/asyncapi.yaml").read_text(encoding="utf-8"))
    assert schema["x-busbar"]["status"] == "published"
    assert openapi["info"]["x-busbar-status"] == "published"
    assert asyncapi["info"]["x-busbar-status"] == "published"
    for path, notes in NOTES.items():
        assert notes["published"] in (root / path).read_text(encoding="utf-8")
        assert notes["draft"] not in (root / path).read_text(encoding="utf-8")


def test_the_recorded_build_is_that_of_the_tag_and_can_be_made_again(released: Copy) -> None:
    about = json.loads((released.root / "tests/faults/older/build.json").read_text("utf-8"))
    assert about["of"] == f"v{FIRST}"
    released.shell(f"python -m tools.release record v{FIRST}")
    assert released.changed() == set()


def test_a_breaking_edit_of_a_released_message_is_refused(released: Copy, tmp_path: Path) -> None:
    copy = copied(released, tmp_path / "checkout")
    assert "released schemas" in copy.shell("python -m tools.contracts check")
    copy.edit(
        "--- services/busbar/messages/base.py\n"
        "+++ services/busbar/messages/base.py\n"
        '-    operation: UUID = Field(description="UUIDv5 of the intent\'s source and id.")\n'
        '+    operation: UUID | None = Field(description="UUIDv5, if there is one.")\n'
    )
    copy.shell("python -m tools.contracts generate")
    said = refused(copy, "python -m tools.contracts check")
    assert f"schemas/resource/failed/v1.json breaks what was published (in v{FIRST})" in said


def test_the_next_release_needs_a_fragment_and_a_higher_version(released: Copy) -> None:
    assert "changelog.d has no fragment" in refused(released, f"make release VERSION={SECOND}")
    assert f"main contains v{FIRST}" in refused(released, f"make release VERSION={FIRST}")
    assert f"last release, {FIRST}" in refused(released, "make release VERSION=899.9.9")


def test_the_next_release_replaces_the_version_everywhere_but_in_the_changelog(
    released: Copy, tmp_path: Path
) -> None:
    copy = copied(released, tmp_path / "checkout")
    (copy.root / "changelog.d" / "more.added.md").write_text("More.\n", encoding="utf-8")
    copy.shell("git add --all && git commit --quiet -m 'More'")
    copy.shell(f"make release VERSION={SECOND}")
    here = Path(__file__).relative_to(ROOT).as_posix()
    assert with_text(copy, FIRST) == {"CHANGELOG.md", here}
    assert with_text(copy, SECOND) == {
        "CHANGELOG.md",
        "compose.yaml",
        "contracts/asyncapi.yaml",
        "contracts/openapi.json",
        "pyproject.toml",
        "services/pyproject.toml",
        "tests/faults/older/build.json",
        here,
    }
    changelog = (copy.root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.index(f"## [{SECOND}]") < changelog.index(f"## [{FIRST}]")
    assert "are published" not in copy.shell("git log -1 --format=%b")


def test_a_dry_run_shows_the_release_and_changes_nothing(base: Copy) -> None:
    before = state(base)
    said = base.shell(f"make release VERSION={FIRST} DRY_RUN=yes")
    assert state(base) == before
    for part in (f"release: publish {FIRST}", "pyproject.toml", "- Something was fixed,"):
        assert part in said


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ("git config tag.gpgSign true && git config gpg.program false", "git tag failed"),
        ("touch .git/index.lock", "git merge failed"),
        (
            "sed -i 's/Unreleased/Next/' CHANGELOG.md && git commit --quiet -am 'Rename'",
            "has no line `## [Unreleased]`",
        ),
        (
            "sed -i 2d schemas/resource/apply/v1.json && git commit --quiet -am 'Spoil'",
            "`make check` fails",
        ),
    ],
)
def test_a_release_that_fails_half_way_leaves_everything_as_it_was(
    base: Copy, tmp_path: Path, spoil: str, problem: str
) -> None:
    copy = copied(base, tmp_path / "checkout")
    copy.shell(spoil)
    before = state(copy)
    said = refused(copy, f"make release VERSION={FIRST}")
    assert problem in said
    assert "fix: " in said
    assert state(copy) == before


@pytest.mark.parametrize("words", ["", "VERSION=", "VERSION=1.2", "VERSION=v1.2.3"])
def test_anything_but_a_version_is_refused_with_an_example(base: Copy, words: str) -> None:
    assert "1.2.3" in refused(base, f"VERSION=1.0.0 make release {words}")

"""The gate, in a temporary git repository: a released schema cannot be broken or deleted."""

import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from typer.testing import CliRunner

from busbar.cli.commands import schema
from busbar.kernel.errors import ConfigurationError
from busbar.messages.base import Fact, Intent, JsonObject, Message
from tools.contracts import __main__ as commands
from tools.contracts import regions
from tools.contracts.check import Report, check
from tools.contracts.generate import write
from tools.contracts.status_notes import NOTES

ROOT = Path(__file__).resolve().parents[2]
REGIONS = (regions.COMPOSE, regions.PROMETHEUS, regions.PYPROJECT, *NOTES)
WISH = "schemas/test/wish/v1.json"
GRANTED = "schemas/test/granted/v1.json"


class Wish(Intent):
    """Ask for something in a test."""

    TYPE: ClassVar[str] = "busbar.test.wish.v1"
    TOPIC: ClassVar[str] = "busbar.intents.test"
    STATUS: ClassVar[Literal["draft", "published"]] = "published"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"name": "a"},)

    name: str


class WiderWish(Wish):
    """Ask for something in a test, or for a number of it."""

    count: int = 1


class NarrowerWish(Wish):
    """Ask for something in a test, and say for whom."""

    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"name": "a", "person": "b"},)

    person: str


class Granted(Fact):
    """State something in a test."""

    TYPE: ClassVar[str] = "busbar.test.granted.v1"
    TOPIC: ClassVar[str] = "busbar.facts.test"
    STATUS = "published"
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"name": "a"},)

    name: str


class DraftWish(Wish):
    """Ask for something in a test that is not sure of itself."""

    STATUS = "draft"


@pytest.fixture(autouse=True)
def _only_our_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's git settings, and a hook's variables, out of the test."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
        monkeypatch.delenv(name, raising=False)


def git(root: Path, *arguments: str) -> str:
    person = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")
    command = ["git", *person, "-c", "commit.gpgsign=false", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - git with literal arguments


def commit(root: Path, *messages: type[Message], said: str = "A change") -> str:
    """Generate the files of ``messages``, commit them and give the commit."""
    write(root, messages)
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "--allow-empty", "-m", said)
    return git(root, "rev-parse", "--short", "HEAD").strip()


def release(root: Path, *messages: type[Message], tag: str = "v1.0.0") -> None:
    """Commit the files of ``messages`` and tag the commit."""
    commit(root, *messages, said=tag)
    git(root, "tag", tag)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def report_text(report: Report) -> str:
    lines = [f"{each.path} {each.what} {each.details} {each.fix}" for each in report.findings]
    return "\n".join((*lines, *report.notes))


def test_files_that_are_up_to_date_pass(root: Path) -> None:
    release(root, Wish, Granted)
    report = check(root, [Wish, Granted])
    assert report_text(report) == ""
    assert report.compared == 2


def test_before_the_first_release_any_edit_is_accepted(root: Path) -> None:
    commit(root, Wish, Granted)
    commit(root, NarrowerWish, Granted)
    report = check(root, [NarrowerWish, Granted])
    assert report.findings == ()
    assert report.compared == 0
    assert "nothing is released yet" in report_text(report)


def test_a_breaking_edit_is_refused_even_two_commits_later(root: Path) -> None:
    release(root, Wish, Granted)
    commit(root, NarrowerWish, Granted)
    (root / "README.md").write_text("Something else.", encoding="utf-8")
    commit(root, NarrowerWish, Granted)
    (finding,) = check(root, [NarrowerWish, Granted]).findings
    assert finding.path == WISH
    assert "v1.0.0" in finding.what
    (detail,) = finding.details
    assert detail.startswith("/properties/person: the field person is new and required: ")
    assert "v2 beside it" in finding.fix


def test_a_breaking_edit_is_refused_before_it_is_committed(root: Path) -> None:
    release(root, Wish)
    write(root, [NarrowerWish])
    assert [each.path for each in check(root, [NarrowerWish]).findings] == [WISH]


def test_a_breaking_edit_of_the_model_is_found_before_anything_is_generated(root: Path) -> None:
    release(root, Wish)
    report = check(root, [NarrowerWish])
    assert "run `make generate`" in report_text(report)
    assert "the field person is new and required" in report_text(report)


def test_a_breaking_edit_by_hand_is_reported_as_stale_and_as_breaking(root: Path) -> None:
    release(root, Wish)
    file = root / WISH
    file.write_text(file.read_text(encoding="utf-8").replace('"string"', '"integer"'), "utf-8")
    report = check(root, [Wish])
    assert "is not what the messages generate" in report_text(report)
    assert "/properties/name: the type changed from string to integer" in report_text(report)


def test_a_schema_overwritten_with_something_else_is_refused(root: Path) -> None:
    release(root, Wish)
    (root / WISH).write_text("<<<<<<< HEAD", encoding="utf-8")
    assert "breaks what was published" in report_text(check(root, [Wish]))


def test_a_compatible_edit_is_accepted(root: Path) -> None:
    release(root, Wish)
    commit(root, WiderWish)
    report = check(root, [WiderWish])
    assert report_text(report) == ""
    assert report.compared == 1


def test_a_compatible_edit_may_be_undone_until_it_is_released(root: Path) -> None:
    release(root, Wish)
    commit(root, WiderWish)
    assert check(root, [Wish]).findings[0].fix.startswith("run")
    commit(root, Wish)
    assert report_text(check(root, [Wish])) == ""


def test_undoing_a_released_edit_is_refused(root: Path) -> None:
    release(root, Wish)
    release(root, WiderWish, tag="v1.1.0")
    commit(root, Wish)
    (finding,) = check(root, [Wish]).findings
    assert "v1.1.0" in finding.what
    assert "the optional field count is gone" in finding.details[0]


def test_the_last_release_is_the_highest_version_not_the_last_in_the_alphabet(root: Path) -> None:
    release(root, Wish, tag="v1.9.0")
    release(root, WiderWish, tag="v1.10.0")
    assert "v1.10.0" in report_text(check(root, [Wish]))


def test_a_release_that_another_branch_made_does_not_count(root: Path) -> None:
    release(root, Wish)
    git(root, "checkout", "--quiet", "-b", "next")
    release(root, WiderWish, tag="v2.0.0")
    git(root, "checkout", "--quiet", "main")
    assert report_text(check(root, [Wish])) == ""


@pytest.mark.parametrize("tag", ["v1.0.0rc1", "v1", "version-1.0.0", "1.0.0"])
def test_a_tag_that_is_not_a_version_releases_nothing(root: Path, tag: str) -> None:
    release(root, Wish, tag=tag)
    assert "nothing is released yet" in report_text(check(root, [Wish]))


def test_a_release_of_nothing_but_drafts_is_noted(root: Path) -> None:
    release(root, DraftWish)
    report = check(root, [DraftWish])
    assert report.compared == 0
    assert "Every message of v1.0.0 is a draft" in report_text(report)


def test_against_compares_with_the_named_revision_instead(root: Path) -> None:
    first = commit(root, Wish)
    second = commit(root, NarrowerWish)
    assert check(root, [NarrowerWish], against=second).findings == ()
    assert [each.path for each in check(root, [NarrowerWish], against=first).findings] == [WISH]


def test_against_an_unknown_revision_is_an_error(root: Path) -> None:
    commit(root, Wish)
    with pytest.raises(ConfigurationError, match="git knows no commit nowhere"):
        check(root, [Wish], against="nowhere")
    with pytest.raises(ConfigurationError, match="git knows no commit --all"):
        check(root, [Wish], against="--all")


def test_deleting_a_published_schema_is_refused(root: Path) -> None:
    release(root, Wish, Granted)
    for path in (GRANTED, "schemas/test/granted/examples/v1-1.json"):
        (root / path).unlink()
    commit(root, Wish)
    (finding,) = check(root, [Wish]).findings
    assert finding.path == GRANTED
    assert "(in v1.0.0) and has been deleted" in finding.what


def test_taking_a_published_message_out_of_the_catalogue_is_refused(root: Path) -> None:
    release(root, Wish, Granted)
    (finding, contract) = sorted(check(root, [Wish]).findings, key=lambda each: each.path)[::-1]
    assert finding.path == GRANTED
    assert "no message generates it any more" in finding.what
    assert contract.path == "contracts/asyncapi.yaml"


def test_a_draft_may_be_broken_and_deleted(root: Path) -> None:
    release(root, DraftWish, Granted)
    assert check(root, [Wish, Granted]).findings[0].fix.startswith("run")
    commit(root, Granted)
    assert report_text(check(root, [Granted])) == ""


def test_a_released_message_cannot_become_a_draft_again(root: Path) -> None:
    release(root, Wish)
    write(root, [DraftWish])
    assert "/x-busbar/status" in report_text(check(root, [DraftWish]))


@pytest.mark.parametrize(
    "path", [WISH, "schemas/test/wish/examples/v1-1.json", "contracts/asyncapi.yaml"]
)
def test_a_stale_or_missing_file_is_named(root: Path, path: str) -> None:
    commit(root, Wish)
    (root / path).write_text((root / path).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    (finding,) = check(root, [Wish]).findings
    assert (finding.path, finding.what) == (path, "is not what the messages generate")
    (root / path).unlink()
    (finding,) = check(root, [Wish]).findings
    assert (finding.path, finding.what) == (path, "is missing")
    assert "make generate" in finding.fix


def test_files_of_a_removed_draft_and_unknown_files_are_named(root: Path) -> None:
    commit(root, DraftWish, Granted)
    (root / "schemas/notes.json").write_text("{}", encoding="utf-8")
    findings = {each.path: each.what for each in check(root, [Granted]).findings}
    assert findings[WISH] == "belongs to no message any more"
    assert findings["schemas/notes.json"] == "is neither a schema nor an example"


def test_a_checkout_in_a_folder_of_a_repository_has_its_releases(root: Path) -> None:
    inside = root / "busbar"
    inside.mkdir()
    write(inside, [Wish])
    release(root)
    write(inside, [NarrowerWish])
    assert "person" in report_text(check(inside, [NarrowerWish]))
    assert "person" in report_text(check(inside, [NarrowerWish], against="HEAD"))


def test_without_git_or_commits_the_report_says_so(tmp_path: Path) -> None:
    write(tmp_path, [Wish])
    assert "not in a git repository" in report_text(check(tmp_path, [Wish]))
    with pytest.raises(ConfigurationError, match="not in a git repository"):
        check(tmp_path, [Wish], against="HEAD")
    git(tmp_path, "init", "--quiet")
    assert "no commit yet" in report_text(check(tmp_path, [Wish]))
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    assert "nothing is released yet" in report_text(check(tmp_path, [Wish]))


def test_a_shallow_clone_without_the_tags_says_how_to_get_them(root: Path, tmp_path: Path) -> None:
    release(root, Wish)
    commit(root, NarrowerWish)
    git(root, "clone", "--quiet", "--depth=1", root.as_uri(), str(tmp_path / "clone"))
    report = check(tmp_path / "clone", [NarrowerWish])
    assert "git fetch --unshallow --tags" in report_text(report)
    assert report.findings == ()


def test_a_repository_that_git_refuses_is_an_error_not_a_pass(root: Path) -> None:
    commit(root, Wish)
    (root / ".git" / "HEAD").write_text("nonsense", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"git .* failed"):
        check(root, [Wish])


def test_the_command_exits_1_and_teaches(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MESSAGES", (Wish,))
    for path in (*map(str, REGIONS), "infra/docker/Dockerfile"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    cli = CliRunner()
    made = cli.invoke(commands.app, ["generate", "--root", str(root)])
    assert (made.exit_code, WISH in made.stdout) == (0, True)
    commit(root, Wish)
    git(root, "tag", "v1.0.0")
    fine = cli.invoke(commands.app, ["check", "--root", str(root)])
    assert (fine.exit_code, "up to date" in fine.stdout) == (0, True)
    monkeypatch.setattr(commands, "MESSAGES", (NarrowerWish,))
    cli.invoke(commands.app, ["generate", "--root", str(root)])
    refused = cli.invoke(commands.app, ["check", "--root", str(root)])
    assert refused.exit_code == 1
    assert WISH in refused.stdout
    assert "the field person is new and required" in refused.stdout
    assert "v2 beside it" in refused.stdout


def test_an_error_is_a_sentence_on_stderr(tmp_path: Path) -> None:
    failed = CliRunner().invoke(commands.app, ["check", "--root", str(tmp_path / "nowhere")])
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: --root")
    assert "schemas/" in failed.stderr


def test_the_list_is_a_table_or_json() -> None:
    table = CliRunner().invoke(schema.app, ["list"])
    assert "busbar.resource.apply.v1" in table.stdout
    as_json = CliRunner().invoke(schema.app, ["list", "-o", "json"])
    assert '"type": "busbar.resource.apply.v1"' in as_json.stdout

"""A new service passes every check as it is made, and ``add-a-service.md`` is true."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from meta.checkout import ROOT, text
from meta.checkout_copy import Copy
from tools.new_service import TOPICS, add, listed, places, typed_marker

PAGE = ROOT / "docs" / "how-to" / "add-a-service.md"
NAME = "billing"
BY_HAND = {str(path) for path in (*places(NAME).values(), TOPICS)}
TYPED = f"services/busbar/{NAME} tests/unit/{NAME} services/busbar/messages/topics.py"
RULES = "services changelog links places size suppressions logs compose metrics"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A checkout in which the page was followed to its end; `make check` is part of it."""
    copy = Copy.make(tmp_path_factory.mktemp("service"))
    copy.follow(PAGE, TYPED=TYPED)
    return copy


def test_a_service_touches_eight_files_and_the_rest_is_generated(followed: Copy) -> None:
    written = followed.changed()
    assert written >= BY_HAND
    generated = written - BY_HAND - {str(typed_marker(NAME))}
    followed.shell(f"git checkout --quiet -- {' '.join(generated)}")
    followed.shell("make generate")
    assert followed.changed() == written
    assert len(BY_HAND) <= 8


def test_the_page_lists_the_files_that_a_person_edits() -> None:
    assert [path for path in BY_HAND if f"`{path}`" not in text(PAGE)] == []


def test_the_new_service_keeps_the_rules_of_the_repository(followed: Copy) -> None:
    tests = " ".join(f"tests/meta/test_{rule}.py" for rule in RULES.split())
    followed.shell(f".venv/bin/pytest -q -p no:cacheprovider {tests} -k '{NAME} or not [' ")


def test_the_new_service_runs_like_the_others(followed: Copy) -> None:
    compose = yaml.safe_load((followed.root / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"][NAME]["command"] == ["run", NAME]
    project = tomllib.loads((followed.root / "pyproject.toml").read_text(encoding="utf-8"))
    assert NAME in project["tool"]["importlinter"]["contracts"][0]["layers"][1]
    asyncapi = (followed.root / "contracts" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert f"{NAME}.receive.facts.resource:" in asyncapi
    assert NAME in followed.shell("busbar run --help")


@pytest.mark.parametrize(
    "words", ["billing", "clean", "lock", "", "NAME=billing clean", "clean NAME=billing"]
)
def test_make_runs_nothing_unless_the_name_is_passed_alone(words: str) -> None:
    made = _make(words)
    assert (made.returncode, made.stdout) == (2, "")
    assert "Run: make new-service NAME=billing" in made.stderr


def test_make_passes_the_name_on() -> None:
    assert 'tools.new_service "$NAME"' in _make("NAME=billing").stdout


def _make(words: str) -> "subprocess.CompletedProcess[str]":
    """Return what `make new-service` would run, in an environment with a NAME of its own."""
    return subprocess.run(  # noqa: S603 - our own Makefile, and it runs nothing
        ["make", "--dry-run", "new-service", *words.split()],  # noqa: S607 - the make on the PATH
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "NAME": "machine"},
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with only what a new service changes."""
    for name in (TOPICS, Path("compose.yaml")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _files(root: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        *("policy", "kernel", "kafka", "guarded", "busbar", "bench"),
        *("Billing", "my-service", "1st", "", "a/b"),
        *("class", "match", "json", "email"),
    ],
)
def test_a_name_that_is_taken_or_does_not_fit_is_refused(name: str, small: Path) -> None:
    for parent in ("services/busbar", "tests/unit"):
        for folder in (ROOT / parent).iterdir():
            (small / parent / folder.name).mkdir(parents=True, exist_ok=True)
    before = _files(small)
    with pytest.raises(ConfigurationError):
        add(small, name)
    assert _files(small) == before


@pytest.mark.parametrize(
    "taken",
    [
        *("services/busbar/billing/app.py", "services/busbar/billing.py"),
        *("tests/unit/billing/other.py", "changelog.d/billing.added.md"),
    ],
)
def test_nothing_is_written_over_a_file_that_exists(taken: str, small: Path) -> None:
    (small / taken).parent.mkdir(parents=True, exist_ok=True)
    (small / taken).write_text("mine")
    before = _files(small)
    with pytest.raises(ConfigurationError, match="is taken"):
        add(small, NAME)
    assert _files(small) == before


@pytest.mark.parametrize("broken", ["no list", "no folder"])
def test_a_service_that_cannot_be_added_leaves_nothing_behind(broken: str, small: Path) -> None:
    if broken == "no list":
        (small / TOPICS).write_text("SERVICES = []\n")
    else:
        (small / "changelog.d").write_text("a file, where the fragment needs a folder")
    before = _files(small)
    with pytest.raises((ConfigurationError, OSError)):
        add(small, NAME)
    assert _files(small) == before


def test_the_name_is_added_at_the_end_of_the_list() -> None:
    topics = listed(text(ROOT / TOPICS), NAME)
    assert f'"{SERVICES[-1]}", "{NAME}")' in topics


def test_a_long_list_is_written_a_name_a_line() -> None:
    names = [f"service{number}" for number in range(9)]
    topics = "SERVICES = (" + ", ".join(f'"{name}"' for name in names) + ")\nOTHER = 1\n"
    assert listed(topics, NAME).splitlines()[-3:] == ['    "billing",', ")", "OTHER = 1"]

"""The build that ``old-and-new`` runs is that of the last release, and can be made again."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from faults.fire.recorded import recorded as known
from faults.fire.recorded import unpack
from meta.checkout import ROOT
from support.repository import Repository
from tools.release.record import ABOUT, BUILD, build_of, record, recorded
from tools.release.version import last_release

FILES = {
    "services/busbar/b.py": "b = 1\n",
    "services/busbar/a/ä.py": "",
    "contracts/c.yaml": "c: 1\n",
    "services/pyproject.toml": "not code",
    "tests/test_b.py": "not code",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository.make(tmp_path, monkeypatch)
    (made.root / "services" / "busbar").mkdir(parents=True)
    (made.root / "services" / "busbar" / "run.sh").touch(mode=0o755)
    made.commit(FILES)
    return made


def test_the_recorded_build_is_whole_and_that_of_the_last_release() -> None:
    build = recorded(ROOT)
    assert known().of == build.of
    if (last := last_release(ROOT)) is not None:
        assert build.of == last.tag
        assert build.digest == build_of(ROOT, last.tag).digest, (
            f"run `python -m tools.release record {last.tag}`"
        )


def test_the_recorded_build_runs_without_the_code_of_today(tmp_path: Path) -> None:
    unpack(tmp_path)
    code = "import busbar.messages.base as base; print(base.__file__)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "services")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_a_build_has_the_code_of_its_commit_and_nothing_else(repository: Repository) -> None:
    (repository.root / "services" / "busbar" / "b.py").write_text("b = 2\n", encoding="utf-8")
    build = build_of(repository.root, "main")
    with tarfile.open(fileobj=io.BytesIO(build.archive)) as archive:
        assert [(each.name, each.mode) for each in archive] == [
            ("contracts/c.yaml", 0o644),
            ("services/busbar/a/ä.py", 0o644),
            ("services/busbar/b.py", 0o644),
            ("services/busbar/run.sh", 0o755),
        ]
        found = archive.extractfile("services/busbar/b.py")
        assert found is not None
        assert found.read() == b"b = 1\n"


def test_the_same_code_gives_the_same_files_however_it_is_named(repository: Repository) -> None:
    tree = repository.git("rev-parse", "HEAD^{tree}").strip()
    first = build_of(repository.root, "main", of="v1.0.0")
    record(repository.root, first)
    files = [(repository.root / path).read_bytes() for path in (BUILD, ABOUT)]
    repository.commit()
    assert build_of(repository.root, tree).digest == build_of(repository.root, "HEAD").digest
    record(repository.root, build_of(repository.root, "HEAD", of="v1.0.0"))
    assert [(repository.root / path).read_bytes() for path in (BUILD, ABOUT)] == files
    assert recorded(repository.root) == first


def test_what_was_known_about_the_build_before_is_dropped(repository: Repository) -> None:
    about = repository.root / ABOUT
    about.parent.mkdir(parents=True)
    about.write_text('{"settings": {"A": "1"}, "unread": {"audit": ["x"]}}', encoding="utf-8")
    record(repository.root, build_of(repository.root, "main"))
    now = json.loads(about.read_text(encoding="utf-8"))
    assert (now["of"], now["settings"], now["unread"]) == ("main", {}, {})


def test_a_revision_that_is_unknown_or_has_no_code_is_refused(repository: Repository) -> None:
    with pytest.raises(ConfigurationError, match="git knows no commit v9"):
        build_of(repository.root, "v9.0.0")
    repository.git("rm", "-r", "--quiet", "contracts")
    repository.commit()
    with pytest.raises(ConfigurationError, match="has no code of busbar"):
        build_of(repository.root, "main")


def test_a_link_is_refused(repository: Repository) -> None:
    (repository.root / "services" / "busbar" / "link.py").symlink_to("b.py")
    repository.commit()
    with pytest.raises(ConfigurationError, match=r"link\.py is neither a file nor a folder"):
        build_of(repository.root, "main")


def test_a_damaged_build_is_an_error_that_says_how_to_restore_it(repository: Repository) -> None:
    restore = r"git checkout -- tests/faults/older"
    with pytest.raises(ConfigurationError, match=restore):
        recorded(repository.root)
    record(repository.root, build_of(repository.root, "main"))
    packed = (repository.root / BUILD).read_bytes()
    (repository.root / BUILD).write_bytes(packed[:-20])
    with pytest.raises(ConfigurationError, match=restore):
        recorded(repository.root)
    repository.commit({"contracts/c.yaml": "c: 2\n"})
    about = (repository.root / ABOUT).read_text(encoding="utf-8")
    record(repository.root, build_of(repository.root, "main"))
    (repository.root / ABOUT).write_text(about, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is not the build that"):
        recorded(repository.root)

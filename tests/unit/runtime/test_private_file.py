import os
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.private_file import ensure_private_file


def test_a_private_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    place = tmp_path / "home" / "token"
    assert ensure_private_file(place, "first") == "first"
    assert ensure_private_file(place, "second") == "first"
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700


def test_a_private_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "token"
    ensure_private_file(place, "fresh")
    place.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        ensure_private_file(place, "other")


def test_of_two_processes_that_make_a_file_concurrently_both_read_what_the_first_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "token"
    real = os.link

    def later(source: Path, target: Path) -> None:
        Path(target).write_text("theirs")
        Path(target).chmod(0o600)
        real(source, target)

    monkeypatch.setattr(os, "link", later)
    assert ensure_private_file(place, "ours") == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["token"]

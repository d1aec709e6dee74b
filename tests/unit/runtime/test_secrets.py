"""Secrets by reference: files that only their owner reads."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.secrets import SecretFolder


@pytest.fixture
def folder(tmp_path: Path) -> SecretFolder:
    return SecretFolder(tmp_path / "secrets")


def test_a_secret_comes_back_and_shows_itself_nowhere(folder: SecretFolder) -> None:
    folder.put("secret:a-1", SecretStr("value ü"))
    found = folder.get("secret:a-1")
    assert found is not None
    assert found.get_secret_value() == "value ü"
    assert "value" not in f"{found} {found!r}"
    assert folder.get("secret:never-stored") is None


def test_a_secret_is_replaced(folder: SecretFolder) -> None:
    for value in ("long old value", "new"):
        folder.put("secret:a", SecretStr(value))
    found = folder.get("secret:a")
    assert found is not None
    assert found.get_secret_value() == "new"


def test_the_folder_and_its_files_are_their_owners(folder: SecretFolder, tmp_path: Path) -> None:
    folder.put("secret:a", SecretStr("value"))
    (file,) = (tmp_path / "secrets").iterdir()
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert oct(file.parent.stat().st_mode & 0o777) == "0o700"


def test_a_secret_that_others_can_read_is_refused(folder: SecretFolder, tmp_path: Path) -> None:
    folder.put("secret:a", SecretStr("the-value"))
    (tmp_path / "secrets" / "a").chmod(0o604)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        folder.get("secret:a")
    assert "the-value" not in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    ["a", "secret:", "secret:../a", "secret:a/b", "secret:.a", "secret:a\n", "secret:A"],
)
def test_what_is_no_reference_reaches_no_file(folder: SecretFolder, reference: str) -> None:
    with pytest.raises(ConfigurationError, match="no reference to a secret"):
        folder.get(reference)
    with pytest.raises(ConfigurationError, match="no reference to a secret"):
        folder.put(reference, SecretStr("x"))

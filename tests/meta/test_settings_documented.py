"""``.env.example`` lists every setting, with the default that it has."""

import re
from pathlib import Path

import pytest

from busbar.runtime.core.settings import Settings
from meta.checkout import ROOT, text
from meta.env_example import default, names, render

EXAMPLE = ROOT / ".env.example"
VARIABLE = re.compile(r"^#(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
FIELDS = Settings.model_fields


def listed() -> dict[str, str]:
    return {match["name"]: match["value"] for match in VARIABLE.finditer(text(EXAMPLE))}


def test_every_setting_is_listed_and_no_other() -> None:
    assert sorted(listed()) == sorted(names(name, field)[0] for name, field in FIELDS.items())


def test_every_default_is_listed_as_it_is() -> None:
    expected = {names(name, field)[0]: default(name, field) for name, field in FIELDS.items()}
    assert listed() == expected


def test_the_file_is_what_the_settings_generate() -> None:
    hint = "run: .venv/bin/python tests/meta/env_example.py > .env.example"
    assert text(EXAMPLE) == render(), hint


def test_the_listed_values_are_read_back_as_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value is spelt as the settings read it, so lines of the file can be copied."""
    for name, field in FIELDS.items():
        for variable in names(name, field):
            monkeypatch.delenv(variable, raising=False)
    copied = [f"{variable}={value}" for variable, value in listed().items() if value]
    file = tmp_path / "copied.env"
    file.write_text("\n".join(copied) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    read = Settings.model_validate(Settings(_env_file=file))
    assert read == Settings(_env_file=None)

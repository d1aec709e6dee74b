from pathlib import Path

import pytest

from busbar.runtime.core.settings import Settings, load_settings
from meta.containers import KNOWN, environment, make_secrets, ours


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The secrets that the documented step makes."""
    return make_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def settings(
    secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Settings]:
    """The settings that the process in each container reads."""
    monkeypatch.chdir(tmp_path)
    read = {}
    for name in ours():
        for variable in KNOWN:
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment(name, secrets).items():
            if variable in KNOWN:
                monkeypatch.setenv(variable, value)
        read[name] = load_settings()
    return read

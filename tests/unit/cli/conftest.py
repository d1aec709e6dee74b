import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from busbar.cli.app import app
from unit.sdk.fake_gateway import TOKEN, FakeGateway, Serving
from unit.sdk.running import Run


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the developer's own settings reaches a command."""
    for name in (
        *("BUSBAR_HOME", "BUSBAR_URL", "BUSBAR_TOKEN", "BUSBAR_DATA_KEY", "BUSBAR_DATABASE_URL"),
        *("KAFKA_BOOTSTRAP_SERVERS", "NO_COLOR"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    with Serving(fake):
        yield fake


@pytest.fixture
def home(gateway: FakeGateway, tmp_path: Path) -> Path:
    place = tmp_path / "home"
    (place / "run").mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    (place / "run" / "gateway.json").write_text(json.dumps({"pid": 1, "url": gateway.url}))
    token = place / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    return place


@pytest.fixture
def busbar(home: Path, no_settings: None) -> Run:  # noqa: ARG001 - for what it does
    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, ["--home", str(home), *arguments], input=stdin)

    return run

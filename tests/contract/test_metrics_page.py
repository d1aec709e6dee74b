"""``docs/metrics.md`` lists the metrics."""

from pathlib import Path

from typer.testing import CliRunner

from tools.contracts.__main__ import app
from tools.contracts.pages import METRICS

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_what_the_code_defines() -> None:
    assert METRICS.is_current(ROOT), "run `make generate`"


def test_an_edited_page_is_found_and_written_again(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert METRICS.write(tmp_path)
    assert not METRICS.write(tmp_path)
    page = tmp_path / METRICS.path
    page.write_text(page.read_text(encoding="utf-8").replace("counter", "gauge"), encoding="utf-8")
    assert not METRICS.is_current(tmp_path)


def test_the_check_refuses_a_page_that_misses_a_metric(tmp_path: Path) -> None:
    for folder in ("schemas", "services", "docs", "contracts"):
        (tmp_path / folder).mkdir()
    CliRunner().invoke(app, ["generate", "--root", str(tmp_path)])
    page = tmp_path / METRICS.path
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    page.write_text("".join(line for line in lines if "relay_leader" not in line), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "docs/metrics.md does not list the current metrics." in result.output

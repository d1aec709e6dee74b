"""``compose.yaml``, ``prometheus.yml`` and the import layers follow the list of services."""

import tomllib
from pathlib import Path

import pytest
import yaml

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from tools.contracts import regions
from tools.contracts.pages import COMPOSE, PROMETHEUS, PYPROJECT, Page

ROOT = Path(__file__).resolve().parents[2]
MORE = (*SERVICES, "billing")


@pytest.mark.parametrize("page", [COMPOSE, PROMETHEUS, PYPROJECT], ids=lambda page: page.path.name)
def test_the_file_is_what_the_list_of_services_generates(page: Page) -> None:
    assert page.is_current(ROOT), "run `make generate`"


def test_a_new_service_gets_a_container_like_the_others() -> None:
    containers = yaml.safe_load(regions.compose(ROOT, MORE))["services"]
    assert containers["billing"] == {**containers["policy"], "command": ["run", "billing"]}


def test_a_service_keeps_what_only_its_container_has() -> None:
    containers = yaml.safe_load(regions.compose(ROOT, MORE))["services"]
    assert "BUSBAR_TOKEN" in containers["gateway"]["environment"]
    assert containers["gateway"]["restart"] == containers["policy"]["restart"]


def test_prometheus_collects_from_a_new_service_at_the_port_of_the_image() -> None:
    (job,) = yaml.safe_load(regions.prometheus(ROOT, MORE))["scrape_configs"]
    ports = {name: found["port"] for found in job["dns_sd_configs"] for name in found["names"]}
    assert ports.keys() == set(MORE)
    assert ports["billing"] == ports["policy"]
    assert ports["gateway"] != ports["policy"]


def test_a_new_service_is_a_stranger_to_the_others() -> None:
    contracts = tomllib.loads(regions.pyproject(ROOT, MORE))["tool"]["importlinter"]["contracts"]
    assert " | ".join(MORE) in contracts[0]["layers"]
    assert [f"busbar.{name}" for name in MORE] in [each.get("containers") for each in contracts]


def test_a_removed_service_leaves_nothing_behind() -> None:
    assert "command: [run, audit]" not in regions.compose(ROOT, ("policy",))
    assert "- audit" not in regions.prometheus(ROOT, ("policy",))


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(f"{text}# the end\n", encoding="utf-8")
    assert regions.compose(tmp_path) == f"{text}# the end\n"


def test_a_file_without_its_generated_region_is_an_error_that_says_what_to_add(
    tmp_path: Path,
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"0 generated regions.*Put the lines"):
        regions.compose(tmp_path)

"""``compose.yaml`` and ``prometheus.yml`` follow the list of services."""

from pathlib import Path

import pytest
import yaml

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from tools.contracts import deployment
from tools.contracts.pages import COMPOSE, PROMETHEUS, Page

ROOT = Path(__file__).resolve().parents[2]
MORE = (*SERVICES, "billing")


@pytest.mark.parametrize("page", [COMPOSE, PROMETHEUS], ids=lambda page: page.path.name)
def test_the_file_is_what_the_list_of_services_generates(page: Page) -> None:
    assert page.is_current(ROOT), "run `make generate`"


def test_a_new_service_gets_a_container_like_the_others() -> None:
    containers = yaml.safe_load(deployment.compose(ROOT, MORE))["services"]
    assert containers["billing"] == {**containers["policy"], "command": ["run", "billing"]}


def test_a_service_keeps_what_only_its_container_has() -> None:
    containers = yaml.safe_load(deployment.compose(ROOT, MORE))["services"]
    assert "BUSBAR_TOKEN" in containers["gateway"]["environment"]
    assert containers["gateway"]["restart"] == containers["policy"]["restart"]


def test_prometheus_collects_from_a_new_service_at_the_port_of_the_image() -> None:
    (job,) = yaml.safe_load(deployment.prometheus(ROOT, MORE))["scrape_configs"]
    ports = {name: found["port"] for found in job["dns_sd_configs"] for name in found["names"]}
    assert ports.keys() == set(MORE)
    assert ports["billing"] == ports["policy"]
    assert ports["gateway"] != ports["policy"]


def test_a_removed_service_leaves_nothing_behind() -> None:
    assert "command: [run, audit]" not in deployment.compose(ROOT, ("policy",))
    assert "- audit" not in deployment.prometheus(ROOT, ("policy",))


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(f"{text}# the end\n", encoding="utf-8")
    assert deployment.compose(tmp_path) == f"{text}# the end\n"


def test_a_file_without_its_generated_region_is_an_error_that_says_what_to_add(
    tmp_path: Path,
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"no generated region.*Put the lines"):
        deployment.compose(tmp_path)

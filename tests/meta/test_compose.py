"""``compose.yaml`` runs the platform as the code is: services, settings, ports, broker."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from busbar.cli.lazy import COMMANDS
from busbar.cli.local.kafka.config import topic_rules
from busbar.cli.local.plan import SINGLE_INSTANCE, WILDCARDS
from busbar.cli.local.platform import GRACE_SECONDS
from busbar.messages import topics
from busbar.messages.topics import SERVICES
from busbar.runtime.core.cipher import read_cipher
from busbar.runtime.core.settings import Settings
from busbar.runtime.host.process import load
from busbar.runtime.kafka.bus import MAX_RECORD_BYTES
from meta.checkout import ROOT, text
from meta.containers import (
    ENDS,
    KNOWN,
    PROMETHEUS,
    STORES,
    compose,
    containers,
    final,
    ours,
    published,
)

GUIDE = ROOT / "docs" / "how-to" / "run-in-containers.md"
SOCKET_REQUEST_MAX_BYTES = 104_857_600
"""The broker's own default: no request is larger, whatever topics allow."""


def port_of(service: str, settings: dict[str, Settings]) -> int:
    """Return the port of ``service``, as ``runtime/host/process.py`` chooses it."""
    own = settings[service]
    return own.gateway_port_number if service == "gateway" else own.http_port_number


def test_every_service_runs_in_a_container_of_its_own() -> None:
    assert set(ours()) == {*SERVICES, ENDS}
    for service in SERVICES:
        assert containers()[service]["command"] == ["run", service]
        assert callable(load(service))


@pytest.mark.parametrize("name", ours())
def test_a_container_runs_a_command_that_exists(name: str) -> None:
    assert containers()[name]["command"][0] in COMMANDS
    assert "entrypoint" not in containers()[name]


@pytest.mark.parametrize("name", ours())
def test_a_container_gets_settings_that_exist_and_nothing_else(name: str) -> None:
    assert sorted(containers()[name]["environment"].keys() - KNOWN) == []


def test_every_setting_of_the_image_exists() -> None:
    named = {name for step in final("ENV") for name in re.findall(r"(\w+)=", step.rest)}
    assert sorted(name for name in named - KNOWN if name.startswith("BUSBAR")) == []


def test_services_know_kafka_and_the_store_and_listen_for_others(
    settings: dict[str, Settings],
) -> None:
    for name, own in settings.items():
        assert own.database_url is not None, name
        assert own.data_key is not None, name
        assert read_cipher(own.data_key)
        assert own.kafka_bootstrap_servers == "kafka:19092"
        assert own.http_host in WILDCARDS, name
        assert own.http_port_number > 0, name


def test_the_owner_of_the_tables_is_known_to_migrate_only(settings: dict[str, Settings]) -> None:
    assert [name for name, own in settings.items() if own.database_owner_url] == [ENDS]


def test_the_token_is_known_to_the_gateway_only(settings: dict[str, Settings]) -> None:
    assert [name for name, own in settings.items() if own.token] == ["gateway"]


def test_the_roles_and_the_database_are_those_that_the_store_is_made_with(
    settings: dict[str, Settings],
) -> None:
    made = text(ROOT / "infra" / "postgres" / "store.sh")
    own = settings[ENDS]
    assert own.database_url is not None
    assert own.database_owner_url is not None
    service = urlsplit(own.database_url.get_secret_value())
    owner = urlsplit(own.database_owner_url.get_secret_value())
    assert service.username != owner.username
    for url, variable in ((service, "SERVICES"), (owner, "OWNER")):
        password = f"{variable.lower()}_password"
        assert f"CREATE ROLE {url.username} LOGIN PASSWORD :'{password}'" in made
        assert rf"\getenv {password} STORE_{variable}_PASSWORD" in made
        assert f"STORE_{variable}_PASSWORD" in containers()["postgres"]["environment"]
        assert (url.hostname, url.port, url.path) == ("postgres", 5432, "/busbar")
    assert f"CREATE DATABASE busbar OWNER {owner.username}" in made


def test_webhooks_reach_no_private_network_by_default(
    settings: dict[str, Settings],
) -> None:
    assert settings["notifier"].webhook_allow_networks == ()


def test_services_start_when_the_broker_answers_and_the_tables_are_made() -> None:
    for service in SERVICES:
        assert containers()[service]["depends_on"] == {
            "kafka": {"condition": "service_healthy"},
            ENDS: {"condition": "service_completed_successfully"},
        }
    assert containers()[ENDS]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_what_ends_stays_ended_and_everything_else_is_started_again() -> None:
    policies = {name: container["restart"] for name, container in containers().items()}
    assert policies.pop(ENDS) == "no"
    assert set(policies.values()) == {"unless-stopped"}


def test_a_service_has_the_time_that_it_takes_to_stop() -> None:
    for container in ours().values():
        assert float(container["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS


def test_ports_are_published_on_loopback_only_and_lead_to_who_listens(
    settings: dict[str, Settings],
) -> None:
    listening = {"gateway": port_of("gateway", settings), "kafka": 9092, "prometheus": 9090}
    found = {name: published(container) for name, container in containers().items()}
    assert {name: ports for name, ports in found.items() if ports} == {
        name: [("127.0.0.1", port, port)] for name, port in listening.items()
    }


def test_the_guide_lists_every_published_port() -> None:
    listed = {int(port) for port in re.findall(r"^\| (\d+) \|", text(GUIDE), re.MULTILINE)}
    assert listed == {port for one in containers().values() for _, port, _ in published(one)}


def test_the_gateway_finds_audit(settings: dict[str, Settings]) -> None:
    assert settings["gateway"].audit_url == f"http://audit:{port_of('audit', settings)}"


def test_the_gateway_finds_policy(settings: dict[str, Settings]) -> None:
    assert settings["gateway"].policy_url == f"http://policy:{port_of('policy', settings)}"


def test_the_image_exposes_the_ports_of_all_services(settings: dict[str, Settings]) -> None:
    exposed = {int(word) for step in final("EXPOSE") for word in step.words}
    assert exposed == {port_of(service, settings) for service in SERVICES}


def test_prometheus_asks_every_service_at_its_port(settings: dict[str, Settings]) -> None:
    (job,) = yaml.safe_load(text(PROMETHEUS))["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    asked = {name: found["port"] for found in job["dns_sd_configs"] for name in found["names"]}
    assert asked == {service: port_of(service, settings) for service in SERVICES}
    assert {found["type"] for found in job["dns_sd_configs"]} == {"A"}


def test_prometheus_reads_the_file_that_is_here() -> None:
    container = containers()["prometheus"]
    (option,) = [word for word in container["command"] if word.startswith("--config.file=")]
    assert f"./infra/prometheus:{Path(option.partition('=')[2]).parent}:ro" in container["volumes"]
    assert Path(option).name == PROMETHEUS.name


def test_only_what_clients_reach_at_one_port_cannot_be_run_several_times() -> None:
    assert {name for name in SERVICES if published(containers()[name])} == SINGLE_INSTANCE
    assert not [name for name in containers() if "container_name" in containers()[name]]


def test_the_broker_behaves_as_the_one_that_busbar_starts() -> None:
    variables = containers()["kafka"]["environment"]
    for name, value in topic_rules().items():
        assert variables[f"KAFKA_{name.upper().replace('.', '_')}"] == value, name
    assert variables["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_broker_takes_records_as_large_as_topics_do() -> None:
    limit = int(containers()["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"])
    assert limit >= topics.RECORD_MAX_BYTES
    longest = max(int(topics.configuration(name)["max.message.bytes"]) for name in topics.ALL)
    assert longest <= MAX_RECORD_BYTES <= SOCKET_REQUEST_MAX_BYTES


def test_clients_are_sent_where_the_broker_listens(settings: dict[str, Settings]) -> None:
    variables = containers()["kafka"]["environment"]
    listening = dict(_listeners(variables["KAFKA_LISTENERS"]))
    sent = dict(_listeners(variables["KAFKA_ADVERTISED_LISTENERS"]))
    protocols = dict(
        pair.split(":") for pair in variables["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    assert (
        listening.keys()
        == protocols.keys()
        == {*sent, variables["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    )
    assert {settings[name].kafka_bootstrap_servers for name in ours()} == {
        sent[variables["KAFKA_INTER_BROKER_LISTENER_NAME"]]
    }
    ((host, outside, inside),) = published(containers()["kafka"])
    assert sent["HOST"] == f"{host}:{outside}"
    assert listening["HOST"] == f":{inside}"
    assert variables["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@kafka{listening['CONTROLLER']}"


def _listeners(value: str) -> list[tuple[str, str]]:
    return [
        (name, place) for name, _, place in (part.partition("://") for part in value.split(","))
    ]


def test_what_has_to_last_is_in_a_volume_of_its_own() -> None:
    mounted = {
        name: [place.split(":")[0] for place in container.get("volumes", [])]
        for name, container in containers().items()
    }
    named = {name: [one for one in one_s if "/" not in one] for name, one_s in mounted.items()}
    kept = {name: volumes for name, volumes in named.items() if volumes}
    assert kept == {name: [name] for name in ("kafka", "prometheus", *STORES)}
    assert set(compose()["volumes"]) == set(kept)
    assert containers()["kafka"]["environment"]["KAFKA_LOG_DIRS"] in str(
        containers()["kafka"]["volumes"]
    )


@pytest.mark.parametrize("name", containers())
def test_every_file_that_is_mounted_is_here_and_cannot_be_changed(name: str) -> None:
    for place in containers()[name].get("volumes", []):
        if place.startswith("."):
            source, _, mode = place.split(":")
            assert (ROOT / source).exists(), place
            assert mode == "ro"


def test_databases_of_teams_are_in_a_cluster_of_their_own() -> None:
    store, teams = (containers()[name] for name in STORES)
    assert teams["profiles"] == ["databases"]
    assert not set(store["volumes"]) & set(teams["volumes"])
    assert not any("STORE" in name for name in teams["environment"])
    assert "databases" not in str([one["environment"] for one in ours().values()])
    assert r"\getenv password DATABASES_PASSWORD" in text(ROOT / "infra/postgres/databases.sh")


def test_every_container_that_the_guide_names_is_there() -> None:
    after = r"docker compose (?:exec|logs|run|stop)((?: --?[\w-]+)*)((?: [a-z]+)+)"
    named = [words.split() for _, words in re.findall(after, text(GUIDE))]
    assert named
    assert [words[0] for words in named if words[0] not in containers()] == []

"""Containers of ``compose.yaml`` have few rights and health checks, and no secrets of their own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from busbar.cli.lazy import COMMANDS
from busbar.messages.topics import SERVICES
from busbar.runtime.core.settings import Settings
from meta.checkout import ROOT, text
from meta.containers import (
    COMPOSE,
    ENDS,
    KNOWN,
    SECRETS,
    STORES,
    VARIABLE,
    compose,
    containers,
    final,
    make_secrets,
    ours,
)

OLDEST_KAFKA, OLDEST_POSTGRES = (4, 1), (15,)


def version(image: str) -> tuple[int, ...]:
    match = re.fullmatch(r"[a-z/]+:v?(\d+(?:\.\d+)+)(-[a-z0-9.]+)?", image)
    assert match, f"{image} is not pinned"
    return tuple(int(part) for part in match[1].split("."))


@pytest.mark.parametrize("name", containers())
def test_a_container_runs_as_a_numeric_user_who_is_not_root(name: str) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", containers()[name]["user"])


@pytest.mark.parametrize("name", containers())
def test_a_container_has_no_capabilities_and_gets_none(name: str) -> None:
    container = containers()[name]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not container.keys() & {"cap_add", "privileged", "network_mode", "pid", "ipc"}


@pytest.mark.parametrize("name", ours())
def test_a_service_writes_to_its_home_and_to_tmp_only(
    name: str, settings: dict[str, Settings]
) -> None:
    container = containers()[name]
    (user,) = final("USER")
    assert container["user"] == user.rest
    assert container["read_only"] is True
    assert "volumes" not in container
    uid, gid = user.rest.split(":")
    options = dict(place.split(":") for place in container["tmpfs"])
    assert set(options) == {"/tmp", str(settings[name].home)}  # noqa: S108 - of the container
    assert options[str(settings[name].home)].startswith(f"uid={uid},gid={gid},mode=0700")


@pytest.mark.parametrize("name", sorted(containers().keys() - ours().keys()))
def test_an_image_of_others_is_pinned(name: str) -> None:
    assert len(version(containers()[name]["image"])) > 1


def test_kafka_and_postgresql_are_versions_that_busbar_runs_on() -> None:
    assert version(containers()["kafka"]["image"]) >= OLDEST_KAFKA
    assert all(version(containers()[name]["image"]) >= OLDEST_POSTGRES for name in STORES)


@pytest.mark.parametrize("name", containers())
def test_a_container_has_a_health_check_unless_it_ends(name: str) -> None:
    check = containers()[name]["healthcheck"]
    if name == ENDS:
        assert check == {"disable": True}
        return
    assert check["test"][0] == "CMD"
    assert check.keys() >= {"interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_health_check_of_a_service_is_that_of_the_image(name: str) -> None:
    (check,) = final("HEALTHCHECK")
    words = containers()[name]["healthcheck"]["test"][1:]
    assert str(words).replace("'", '"') in check.rest
    assert words == ["busbar", "health"]
    assert words[1] in COMMANDS


def test_the_health_checks_of_others_ask_where_those_listen() -> None:
    tests = {
        name: " ".join(one["healthcheck"].get("test", [])) for name, one in containers().items()
    }
    assert "--bootstrap-server kafka:19092" in tests["kafka"]
    assert "--url=http://127.0.0.1:9090" in tests["prometheus"]
    assert all("pg_isready --host 127.0.0.1" in tests[name] for name in STORES)


def secret_values(found: Any, key: str = "") -> list[tuple[str, str]]:
    """Every value that is a secret by its name, or has a password in its URL."""
    if isinstance(found, dict):
        return [pair for name, value in found.items() for pair in secret_values(value, str(name))]
    if isinstance(found, list):
        return [pair for value in found for pair in secret_values(value, key)]
    words = {"PASSWORD", "TOKEN", "KEY", "SECRET"} & set(key.upper().split("_"))
    with_password = re.search(r"://[^/\s]*:(?P<password>[^@\s]*)@", str(found))
    if with_password:
        return [(key, with_password["password"])]
    return [(key, str(found))] if words else []


def test_no_secret_has_a_value_here_and_a_missing_one_says_what_to_do() -> None:
    values = secret_values(compose())
    assert len(values) > len(SERVICES)
    hint = SECRETS.relative_to(ROOT).as_posix()
    for key, value in values:
        match = VARIABLE.fullmatch(value)
        assert match, f"{key} has a value in compose.yaml"
        assert match["kind"] == ":?", key
        assert match["rest"] == f"run sh {hint}", key
    assert not [step for step in final("ENV") if re.search(r"PASSWORD|TOKEN|_KEY", step.rest)]


@pytest.mark.parametrize(
    "line", ["A_TOKEN: x", "A_PASSWORD: ${A:-x}", "URL: postgresql://a:b@c/d", "DATA_KEY: 'eA=='"]
)
def test_the_rule_sees_a_secret(line: str) -> None:
    ((_, value),) = secret_values(yaml.safe_load(line))
    match = VARIABLE.fullmatch(value)
    assert match is None or match["kind"] != ":?"


def test_the_documented_step_makes_every_secret_for_its_owner_only(
    secrets: dict[str, str], tmp_path: Path
) -> None:
    asked = {match["name"] for match in VARIABLE.finditer(text(COMPOSE)) if match["kind"] == ":?"}
    assert set(secrets) == asked
    assert len(set(secrets.values())) == len(secrets)
    assert not set(secrets) & KNOWN, "`busbar up` in the same folder would take them as its own"
    urls = {name: value for name, value in secrets.items() if name != "PLATFORM_DATA_KEY"}
    assert all(re.fullmatch(r"[\w-]{32}", value) for value in urls.values())
    make_secrets(tmp_path)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_the_documented_step_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PLATFORM_TOKEN=mine\nOTHER=no end of line", encoding="ascii")
    first = make_secrets(tmp_path)
    assert first["PLATFORM_TOKEN"] == "mine"  # noqa: S105 - a placeholder
    assert first["OTHER"] == "no end of line"
    assert make_secrets(tmp_path) == first

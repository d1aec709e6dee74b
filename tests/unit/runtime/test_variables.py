"""A variable or a line of ``.env`` that is meant for busbar and is not a setting is refused."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import known_variables, load_settings
from busbar.runtime.core.variables import could_be_link, is_link, unknown_lines, unknown_variables

KNOWN = known_variables()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's .env."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BUSBAR_HANDLER_ATTEMPS", "BUSBAR_HANDLER_ATTEMPTS"),
        ("busbar_home", "BUSBAR_HOME"),
        ("Busbar_Home", "BUSBAR_HOME"),
        ("BUSBAR-HOME", "BUSBAR_HOME"),
        ("BUSBR_TOKEN", "BUSBAR_TOKEN"),
        ("BUSBAR_GATEWAY_PORT", "BUSBAR_GATEWAY_PORT_NUMBER"),
        ("BUSBAR_HTTP_PORT", "BUSBAR_HTTP_PORT_NUMBER"),
        ("BUSBAR_POLICES", "BUSBAR_POLICIES"),
    ],
)
def test_a_variable_that_is_not_a_setting_is_refused_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "the-value")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert f"{name} is not a setting (did you mean {meant}?)" in str(caught.value)
    assert "the-value" not in str(caught.value)


def test_a_variable_that_is_like_no_setting_is_refused_without_a_guess() -> None:
    assert unknown_variables({"BUSBAR_XQZ": "1"}, KNOWN) == ["BUSBAR_XQZ is not a setting"]


def test_variables_of_other_programs_are_passed_over() -> None:
    others = {
        "HOME": "/root",
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://other",
        "KAFKA_BOOTSTRAP_SERVER": "other:9092",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other",
        "_BUSBAR_COMPLETE": "complete_bash",
        "BUSBARS": "3",
    }
    assert unknown_variables(others, KNOWN) == []


LINKS = {
    "BUSBAR_SERVICE_HOST": "10.0.0.1",
    "BUSBAR_SERVICE_PORT": "80",
    "BUSBAR_SERVICE_PORT_HTTP": "80",
    "BUSBAR_PORT": "tcp://10.0.0.1:80",
    "BUSBAR_PORT_80_TCP": "tcp://10.0.0.1:80",
    "BUSBAR_PORT_80_TCP_PROTO": "tcp",
    "BUSBAR_PORT_80_TCP_PORT": "80",
    "BUSBAR_PORT_80_TCP_ADDR": "10.0.0.1",
    "BUSBAR_GATEWAY_SERVICE_HOST": "fd00::1",
    "BUSBAR_GATEWAY_PORT": "tcp://[fd00::1]:8642",
    "BUSBAR_GATEWAY_PORT_8642_TCP_ADDR": "fd00::1",
    "BUSBAR_HTTP_PORT": "udp://10.0.0.1:8080",
    "BUSBAR_HOME_PORT_53_UDP": "udp://10.0.0.1:53",
}


def test_the_addresses_of_services_of_kubernetes_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.gateway_port_number == 8642
    assert settings.http_port_number == 0


@pytest.mark.parametrize("name", LINKS)
def test_a_variable_that_only_has_the_name_of_such_an_address_is_refused(name: str) -> None:
    assert len(unknown_variables({name: "not an address"}, KNOWN)) == 1


SERVICE = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=30)


@given(
    service=st.sampled_from(sorted(KNOWN)).map(str.lower) | SERVICE.map(lambda end: f"busbar-{end}")
)
def test_no_service_can_have_a_name_that_sets_a_setting(service: str) -> None:
    """The variables of a Service of any name are recognized, and none is a setting."""
    name = service.upper().replace("-", "_")
    for link, value in LINKS.items():
        variable = name + link.removeprefix("BUSBAR_GATEWAY").removeprefix("BUSBAR")
        if "_HOME_" in variable or "_HTTP_PORT" in variable:
            continue
        assert variable not in KNOWN
        assert is_link(variable, value)
        assert unknown_variables({variable: value}, KNOWN) == []


def test_no_setting_has_a_name_that_kubernetes_could_set() -> None:
    assert [name for name in sorted(KNOWN) if could_be_link(name)] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("BUSBAR_HANDLER_ATTEMPS=3", "did you mean BUSBAR_HANDLER_ATTEMPTS?"),
        ("export busbar_token=secret", "did you mean BUSBAR_TOKEN?"),
        ("KAFKA_BOOTSTRAP_SERVER=secret:1", "did you mean KAFKA_BOOTSTRAP_SERVERS?"),
        ("BUSBAR_HTTP_PORT=80", "did you mean BUSBAR_HTTP_PORT_NUMBER?"),
        ("BUSBAR_TOKEN", "BUSBAR_TOKEN has no value"),
        ("BUSBAR_TOKEN: secret", "is not NAME=value"),
        ("BUSBAR_TOKEN secret", "is not NAME=value"),
    ],
)
def test_a_line_that_cannot_take_effect_is_refused_with_its_number(
    tmp_path: Path, line: str, problem: str
) -> None:
    (tmp_path / ".env").write_text(f"# Settings.\n\nBUSBAR_INSTANCES=2\n\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "line 5 of .env" in str(caught.value)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_lines_of_other_programs_and_of_containers_are_passed_over(tmp_path: Path) -> None:
    lines = "\n# c\nPLATFORM_TOKEN=a\nSTORE_OWNER_PASSWORD=b\nDATABASE_URL=c\nBUSBAR_INSTANCES=2\n"
    (tmp_path / ".env").write_text(lines)
    assert load_settings().instances == 2
    assert unknown_lines(tmp_path / "nowhere", KNOWN) == []


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BUSBAR_TOKEN=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read"):
        load_settings()


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_text(text, encoding="utf-8", errors="replace")
    assert isinstance(unknown_lines(file, KNOWN), list)

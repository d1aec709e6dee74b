"""Every service is a folder that reads like the others."""

import tomllib

import pytest

from busbar.messages.topics import SERVICES
from meta.checkout import PACKAGE, ROOT, text

SAID = ("**Consumes**", "**Emits**", "**Owns**")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["README.md", "app.py", "handlers.py", "domain"])
def test_a_service_has_the_files_that_everybody_looks_for(service: str, name: str) -> None:
    folder = PACKAGE / service
    found = (folder / name).is_file() or (folder / f"{name}.py").is_file()
    assert found or (folder / name / "__init__.py").is_file()


def test_the_contract_on_the_inside_of_services_covers_every_service() -> None:
    (contract,) = (
        found
        for found in tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"][
            "contracts"
        ]
        if found["name"] == "Inside a service"
    )
    assert set(contract["containers"]) == {f"busbar.{service}" for service in SERVICES}
    assert contract["exhaustive"]
    assert "exhaustive_ignores" not in contract


@pytest.mark.parametrize("service", SERVICES)
def test_a_readme_says_what_its_service_consumes_emits_and_owns(service: str) -> None:
    readme = text(PACKAGE / service / "README.md")
    assert readme.startswith(f"# {service}\n")
    assert [word for word in SAID if word not in readme] == []


def test_every_folder_that_wires_an_app_is_a_known_service() -> None:
    wired = {path.parent.name for path in PACKAGE.glob("*/app.py")} - {"cli"}
    assert wired == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_only_app_wires_a_service(service: str) -> None:
    """The settings reach a service through ``app.py`` alone."""
    reading = [
        path.name
        for path in sorted((PACKAGE / service).rglob("*.py"))
        if path.name != "app.py" and "busbar.runtime.core.settings" in text(path)
    ]
    assert reading == []

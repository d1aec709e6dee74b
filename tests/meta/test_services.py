"""Every service is a folder that reads like the others: one name per role."""

import tomllib
from pathlib import Path

import pytest

from busbar.messages.topics import SERVICES
from meta.checkout import PACKAGE, ROOT, files, text

HEADINGS = ("**Consumes**", "**Emits**", "**Owns**")
REQUIRED = ("README.md", "__init__.py", "app.py", "domain", "handlers", "py.typed")
MODULES = ("app.py", "telemetry.py")
"""Roles that are one module in every service."""
GROUPS = ("adapters", "domain", "handlers", "routes")
"""Roles that are one module, or a folder of modules."""


def roles_of(folder: Path) -> set[str]:
    """The names directly in ``folder``; a role that may be a folder goes without its suffix."""
    names = {path.relative_to(folder).parts[0] for path in files() if path.is_relative_to(folder)}
    return {
        name.removesuffix(".py") if name.removesuffix(".py") in GROUPS else name for name in names
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_files_that_every_service_has(service: str) -> None:
    assert sorted(set(REQUIRED) - roles_of(PACKAGE / service)) == []


def test_the_contract_on_the_inside_of_services_is_exhaustive() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))
    contracts = {each["name"]: each for each in project["tool"]["importlinter"]["contracts"]}
    assert contracts["Inside a service"]["exhaustive"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_file_outside_of_its_roles(service: str) -> None:
    allowed = {"README.md", "__init__.py", "py.typed", *MODULES, *GROUPS}
    assert sorted(roles_of(PACKAGE / service) - allowed) == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("role", GROUPS)
def test_a_role_is_a_module_or_a_folder_and_never_both(service: str, role: str) -> None:
    module, folder = PACKAGE / service / f"{role}.py", PACKAGE / service / role
    assert not (module.exists() and folder.exists())
    assert not folder.exists() or (folder / "__init__.py").is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_a_readme_lists_what_its_service_consumes_emits_and_owns(service: str) -> None:
    readme = text(PACKAGE / service / "README.md")
    assert readme.startswith(f"# {service}\n")
    assert [word for word in HEADINGS if word not in readme] == []


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

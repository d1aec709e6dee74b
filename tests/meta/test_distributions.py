"""Two distributions from one tree: ``busbar-sdk`` stays light, ``busbar-platform`` has the rest."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from meta.checkout import PACKAGE, ROOT, below, text, tree

SDK = ("kernel", "messages", "sdk")
PROJECTS = {"busbar_sdk": ROOT / "services", "busbar_platform": ROOT}
PUBLISH = """
import asyncio, sys
from cloudevents.core.v1.event import CloudEvent
from pydantic import SecretStr
import busbar.kernel, busbar.messages.catalogue, busbar.sdk
from busbar.sdk import Client, RetryPolicy, Unreachable

async def main():
    event = CloudEvent(
        {"id": "1", "source": "urn:x", "type": "busbar.resource.delete.v1"}, {"team": "a"}
    )
    policy = RetryPolicy(attempts=1)
    async with Client("http://127.0.0.1:9", SecretStr("none"), retry=policy) as client:
        try:
            await client.publish(event)
        except Unreachable as error:
            print(error)

asyncio.run(main())
print(sorted({name.partition(".")[0] for name in sys.modules}))
try:
    import busbar.runtime
except ModuleNotFoundError as error:
    print(error)
"""


def project(name: str) -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads(text(PROJECTS[name] / "pyproject.toml"))["project"]
    return loaded


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *map(str, PROJECTS.values())], check=True)  # noqa: S603 - pip itself, no shell
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


def packed(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("busbar/")}


def closure(*names: str) -> dict[str, str]:
    """The installed distributions that ``names`` need, with their versions."""
    found: dict[str, str] = {}
    rest = list(names)
    while rest:
        name = normal(rest.pop())
        if name in found:
            continue
        known = distribution(name)
        found[name] = known.version
        needed = (Requirement(line) for line in known.requires or ())
        rest += [
            one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return found


@pytest.fixture(scope="module")
def environment(
    wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """A virtual environment with the SDK's wheel, and nothing but what that declares."""
    home = tmp_path_factory.mktemp("sdk")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)  # noqa: S603 - our own interpreter
    (site,) = home.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-index", "--no-deps", "--target", str(site), str(wheels["busbar_sdk"])]
    subprocess.run(pip, check=True)  # noqa: S603 - pip itself, no shell
    lines = zipfile.ZipFile(wheels["busbar_sdk"]).read(_metadata(wheels["busbar_sdk"])).decode()
    needed = re.findall(r"^Requires-Dist: ([A-Za-z0-9._-]+)", lines, re.MULTILINE)
    installed = closure(*needed)
    for name in installed:
        for top in {file.parts[0] for file in distribution(name).files or ()} - {".."}:
            place = site / top
            if not place.exists():
                place.symlink_to(Path(str(distribution(name).locate_file(top))))
    return home / "bin" / "python", installed


def _metadata(wheel: Path) -> str:
    return next(n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".dist-info/METADATA"))


def imported(folders: tuple[str, ...]) -> Iterator[str]:
    """The top-level modules that the product files in ``folders`` import."""
    for path in below(*(f"services/busbar/{folder}" for folder in folders), suffix=".py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_the_two_distributions_have_one_version() -> None:
    sdk, platform = project("busbar_sdk"), project("busbar_platform")
    assert sdk["version"] == platform["version"]
    assert sdk["requires-python"] == platform["requires-python"]
    dependencies = platform["dependencies"]
    assert isinstance(dependencies, list)
    assert f"busbar-sdk=={sdk['version']}" in dependencies


def test_busbar_is_a_namespace_and_each_of_its_packages_is_typed() -> None:
    assert not (PACKAGE / "__init__.py").exists()
    packages = {path.parent for path in below("services/busbar", suffix="__init__.py")}
    tops = {package for package in packages if package.parent == PACKAGE}
    assert {package.name for package in tops if not (package / "py.typed").is_file()} == set()


def test_the_wheels_share_no_file_and_hold_every_file(wheels: dict[str, Path]) -> None:
    sdk, platform = packed(wheels["busbar_sdk"]), packed(wheels["busbar_platform"])
    assert sdk & platform == set()
    assert {name.split("/")[1] for name in sdk} == set(SDK)
    product = {
        f"busbar/{path.relative_to(PACKAGE).as_posix()}"
        for path in below("services/busbar", suffix="")
    }
    assert product <= sdk | platform
    assert {name for name in sdk | platform if name not in product} == {
        name for name in platform if name.startswith("busbar/assets/")
    }


def test_the_source_distribution_of_the_sdk_builds_the_same_wheel(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
    build += ["--directory", str(tmp_path)]
    subprocess.run(build, cwd=PROJECTS["busbar_sdk"], check=True, capture_output=True)  # noqa: S603 - hatchling itself, no shell
    (source,) = tmp_path.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([*pip, str(source)], check=True)  # noqa: S603 - pip itself, no shell
    (again,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(again).namelist())
    assert names == set(zipfile.ZipFile(wheels["busbar_sdk"]).namelist())
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert text(ROOT / "services" / "LICENSE") == text(ROOT / "LICENSE")


def test_the_sdk_declares_exactly_what_it_imports() -> None:
    owners = packages_distributions()
    used = {
        normal(owner)
        for name in set(imported(SDK)) - sys.stdlib_module_names - {"busbar"}
        for owner in owners[name]
    }
    declared = project("busbar_sdk")["dependencies"]
    assert isinstance(declared, list)
    assert used == {normal(Requirement(line).name) for line in declared}


def test_the_sdk_works_with_its_declared_dependencies_only(
    environment: tuple[Path, dict[str, str]],
) -> None:
    python, installed = environment
    ran = subprocess.run(  # noqa: S603 - an interpreter made above
        [str(python), "-I", "-c", PUBLISH], capture_output=True, text=True, check=True, timeout=60
    )
    answer, modules, missing = ran.stdout.splitlines()
    assert answer == "The gateway at http://127.0.0.1:9 does not answer: connection refused."
    assert "cloudevents" in modules
    assert missing == "No module named 'busbar.runtime'"
    assert "sqlalchemy" not in modules
    locked = text(ROOT / "requirements" / "sdk.txt")
    assert {
        name for name, version in installed.items() if f"{name}=={version} " not in locked
    } == set()


def test_a_program_sees_the_types_of_the_installed_sdk(
    environment: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    python, _ = environment
    program = ROOT / "tests" / "typing" / "sdk_client.py"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python)]
    mypy += ["--config-file", "", "--cache-dir", str(tmp_path), str(program)]
    ran = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - mypy itself, no shell
    assert ran.stdout == "Success: no issues found in 1 source file\n", ran.stdout + ran.stderr

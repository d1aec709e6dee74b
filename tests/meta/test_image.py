"""The image that ``infra/docker/Dockerfile`` describes is the product, small and guarded."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from busbar.cli.lazy import COMMANDS
from meta.checkout import ROOT, files, text
from meta.containers import copied, final, image_environment, is_sent, ours, steps

PROJECT = tomllib.loads(text(ROOT / "pyproject.toml"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_every_stage_is_a_slim_python_of_a_pinned_version_that_the_product_supports() -> None:
    bases = {step.words[0] for step in steps() if step.word == "FROM"}
    (base,) = bases
    match = re.fullmatch(r"python:(3)\.(\d+)(\.\d+)?-slim-[a-z]+", base)
    assert match, base
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"])
    assert bounds
    assert int(bounds[1]) <= int(match[2]) < int(bounds[2])


def test_what_is_installed_is_pinned_with_hashes_and_never_compiled() -> None:
    installs = [step.rest for step in steps() if "busbar/bin/python install" in step.rest]
    locked = [rest for rest in installs if "requirements/runtime.txt" in rest]
    assert len(locked) == 1
    assert "--require-hashes" in locked[0]
    assert "--only-binary :all:" in locked[0]
    others = [rest for rest in installs if rest not in locked]
    assert all("--no-deps --no-build-isolation ./services ." in rest for rest in others)


def test_the_image_has_the_environment_only_and_nothing_that_installs() -> None:
    (copy,) = final("COPY")
    assert copy.rest == "--from=builder /opt/busbar /opt/busbar"
    builder = [step.rest for step in steps() if step.stage == 1 and step.word == "RUN"]
    assert "python -m venv --without-pip /opt/busbar" in builder
    commands = " ".join(step.rest for step in final("RUN"))
    assert "rm -rf /usr/local/bin/pip*" in commands
    assert "/usr/local/lib/python3*/site-packages/pip*" in commands
    assert "/usr/local/lib/python3*/ensurepip" in commands
    assert not re.search(r"pip install|apt-get|apk|curl|wget", commands)


def test_the_image_runs_as_a_numeric_user_who_is_not_root_and_owns_the_home_only() -> None:
    (user,) = final("USER")
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", user.rest)
    assert match, user.rest
    commands = " ".join(step.rest for step in final("RUN"))
    home = image_environment()["BUSBAR_HOME"]
    assert f"--uid {match[1]} --gid {match[2]} --home-dir {home}" in commands
    assert f"--owner {match[1]} --group {match[2]} --mode 0700 {home}" in commands
    assert "chown" not in text(ROOT / "infra" / "docker" / "Dockerfile")


def test_the_image_runs_the_command_of_the_product() -> None:
    (entry,) = final("ENTRYPOINT")
    assert entry.rest.startswith("["), "a shell would not hand signals on"
    assert entry.words[0] in PROJECT["project"]["scripts"]
    assert image_environment()["PATH"].split(":")[0] == "/opt/busbar/bin"


def test_the_image_is_healthy_if_the_service_in_it_is_ready() -> None:
    (check,) = final("HEALTHCHECK")
    command = re.search(r' CMD \["busbar", "(?P<command>[a-z-]+)"\]$', check.rest)
    assert command
    assert command["command"] == "health"
    assert command["command"] in COMMANDS


def test_the_exposed_ports_are_those_that_services_listen_on() -> None:
    exposed = {word for step in final("EXPOSE") for word in step.words}
    set_ = image_environment()
    assert exposed == {set_["BUSBAR_HTTP_PORT_NUMBER"], set_["BUSBAR_GATEWAY_PORT_NUMBER"]}


def test_what_is_copied_is_there_and_is_all_that_the_wheel_is_made_of(tmp_path: Path) -> None:
    """Builds the wheels from what the builder has, and finds in them what ``asset`` looks for."""
    for name in copied():
        place = tmp_path / "build" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, place)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([*pip, "./services", "."], cwd=tmp_path / "build", check=True)  # noqa: S603 - pip itself, no shell
    assert len(list(tmp_path.glob("*.whl"))) == 2
    (wheel,) = tmp_path.glob("busbar_platform-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for kind in ("promises", "policies"):
        for file in sorted((ROOT / "contracts" / kind).iterdir()):
            assert f"busbar/assets/contracts/{kind}/{file.name}" in names
    for source, target in WHEEL["force-include"].items():
        assert (ROOT / source).is_dir() or target in names


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        ".busbar/data.key",
        ".env",
        "build/faults.json",
        "tests/conftest.py",
        "services/busbar/__pycache__/x.pyc",
        "infra/docker/.env",
        "services/.env",
        "compose.yaml",
        "requirements/dev.txt",
    ],
)
def test_history_state_and_secrets_stay_out_of_the_build(name: str) -> None:
    assert not is_sent(name)


def test_everything_that_is_copied_comes_into_the_build() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in files()]
    wanted = copied()
    assert wanted
    for source in wanted:
        below = [name for name in names if name == source or name.startswith(f"{source}/")]
        assert below, source
        assert [name for name in below if not is_sent(name)] == []


def test_only_what_is_copied_comes_into_the_build() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in files()]
    sent = {name for name in names if is_sent(name)}
    assert {name for name in sent if not any(_below(name, place) for place in copied())} == set()


def test_the_image_is_named_after_the_version() -> None:
    version = PROJECT["project"]["version"]
    images = {container["image"] for container in ours().values()}
    assert images == {f"${{PLATFORM_IMAGE:-busbar-platform:{version}}}"}


def _below(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")

"""An adapter of a third party is written, tested and found as the how-to shows.

It meets busbar only as a wheel: nothing of this checkout is on its path.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meta.checkout import ROOT
from support.pages import follow

PAGE = ROOT / "docs" / "how-to" / "add-an-adapter.md"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
NO_PYTEST = """
import sys
sys.modules["pytest"] = None
from busbar.testing import ManualClock, MemoryBackend, make_environment
print("fakes without pytest")
from busbar.testing import BackendContract
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    build = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, *build, str(ROOT)], check=True)  # noqa: S603 - pip itself, no shell
    return folder


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> dict[str, str]:
    """Commands install into a folder of their own; dependencies come from this environment."""
    site = tmp_path / "site"
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as the value of build_isolation
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter with our own code
        [sys.executable, "-c", code],
        env=environment,
        cwd=environment["HOME"],
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_adapter_of_the_how_to_passes_the_suite_from_the_wheel(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "busbar-dns"
    folder.mkdir()
    follow(PAGE, folder, environment)
    where = python("import busbar.testing; print(busbar.testing.__file__)", environment)
    assert Path(where.stdout).is_relative_to(tmp_path / "site")


def test_the_suite_says_how_to_install_pytest(environment: dict[str, str], wheels: Path) -> None:
    (wheel,) = wheels.glob("*.whl")
    done = python(NO_PYTEST, {**environment, "PYTHONPATH": str(wheel)})
    assert "fakes without pytest" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: busbar.testing.BackendContract needs pytest. "
        "Run: pip install 'busbar-platform[testing]'"
    )


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("```sh\nexit 3\n```", "exit code 3"),
        ("```sh\necho 24 passed\n```\n\n```text\n25 passed\n```", "not printed"),
        ("```yaml\na: 1\n```", "file name"),
        ("```yaml\n# ../out.yaml\na: 1\n```", "outside"),
        ("```rust\nfn main() {}\n```", "nothing follows"),
    ],
)
def test_a_page_that_is_not_true_is_seen(tmp_path: Path, page: str, problem: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(page, encoding="utf-8")
    with pytest.raises(AssertionError, match=problem):
        follow(file, tmp_path, {"PATH": os.defpath})

"""Commands of the documentation, for tests that run them as they stand there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meta.markdown import blocks, prose

ROOT = Path(__file__).resolve().parents[2]
_PATH = f"{Path(sys.executable).parent}:{os.defpath}"


def under(page: Path, heading: str, language: str) -> list[str]:
    """The blocks of ``language`` on ``page`` between ``heading`` and the next heading."""
    said = page.read_text(encoding="utf-8")
    headings = [number for number, line in prose(said) if line.startswith("#")]
    begin = said.splitlines().index(heading) + 1
    end = min((number for number in headings if number > begin), default=10**9)
    found = [block for block in blocks(said) if begin < block.line < end]
    return [block.code for block in found if block.language == language]


def run(commands: str, *, folder: Path, environment: Mapping[str, str], **options: Any) -> str:
    """Run ``commands`` in a shell that stops at the first one that fails; what they print."""
    path = environment.get("PATH", "")
    done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - our own documentation
        ["bash", "-eu", "-o", "pipefail", "-c", commands],  # noqa: S607 - the shell on the PATH
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **{**options, "env": {**environment, "PATH": f"{path}:{_PATH}", "LC_ALL": "C"}},
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout

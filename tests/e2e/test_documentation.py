"""The commands that the documentation shows, typed as they are shown, on a real platform."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from busbar.cli.local import Platform
from meta.checkout import place
from meta.documentation import examples, make_scratch, not_printed, pages, script

PAGES = [page for page in pages() if any(one.run == "platform" for one in examples(page))]
SECONDS = 300.0

pytestmark = pytest.mark.timeout(400)


async def typed(program: str, *, folder: Path, home: Path) -> tuple[int, str, str]:
    """Run a program of the shell in ``folder``; its exit code, output and errors."""
    environment = dict(os.environ)  # noqa: TID251 - what a terminal has
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        program,
        cwd=folder,
        env=environment | {"BUSBAR_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode or 0, out.decode(), errors.decode()


@pytest.fixture
async def folder(platform: Platform, tmp_path: Path) -> AsyncIterator[Path]:
    """A scratch folder; at the end, the resources that a page left are deleted."""
    yield tmp_path
    code, out, errors = await typed(
        "busbar get resources --team payments -o json", folder=tmp_path, home=platform.home
    )
    assert code == 0, errors
    left = [item["id"] for item in json.loads(out)]
    program = "\n".join(["set -e", *(f"busbar delete --yes {resource}" for resource in left)])
    code, out, errors = await typed(program, folder=tmp_path, home=platform.home)
    assert code == 0, out + errors


@pytest.mark.parametrize("page", PAGES, ids=place)
async def test_the_commands_of_a_page_do_what_it_says(
    page: Path, platform: Platform, folder: Path
) -> None:
    make_scratch(folder, page)
    code, out, errors = await typed(script(page, run="platform"), folder=folder, home=platform.home)
    assert code == 0, errors + out
    assert not_printed(page, folder, run="platform") == []

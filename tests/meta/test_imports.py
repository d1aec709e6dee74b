"""The floors hold: import-linter's contracts in pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path

from meta.checkout import ROOT


def test_every_import_contract_is_kept(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(  # noqa: S603 - the environment's own import-linter, no shell
        [command, "--no-logo", "--cache-dir", str(tmp_path)],
        cwd=ROOT,
        # This checkout, whichever one is installed.
        env={**os.environ, "PYTHONPATH": str(ROOT / "services")},  # noqa: TID251 - handed on, not read
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

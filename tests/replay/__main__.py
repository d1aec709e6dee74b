"""``python -m replay`` (in ``tests``): record runs of the platform that are not recorded yet.

A recording is never changed. Before the first release, ``--again`` replaces recordings (of all
runs, or of those that are named), because messages may still change; README.md says more.
"""

import argparse
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from replay.recordings import HISTORIES, add_to_list, record, text
from replay.runs import RUNS
from replay.stage import play

RELEASES = "v[0-9]*"
"""The tags of releases."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Record what was asked for; 0 if all of it could be."""
    parser = argparse.ArgumentParser(prog="python -m replay", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--again", action="store_true", help="replace recordings (see README.md)")
    parser.add_argument("--folder", type=Path, default=HISTORIES, help="where recordings are kept")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.runs if name not in RUNS]:
        parser.error(f"no run is called {', '.join(unknown)}; there are {', '.join(RUNS)}")
    if options.again and (known := releases(options.folder)):
        parser.error(
            f"{known[0]} is released, so recordings stay as they are: read old events by an "
            "upcaster, and record a run of a new name"
        )
    record_runs(options.runs or list(RUNS), options.folder, again=options.again)
    return 0


def record_runs(names: Collection[str], folder: Path, *, again: bool = False) -> None:
    """Record the runs that have no file in ``folder`` yet, or all of ``names`` if ``again``."""
    folder.mkdir(exist_ok=True)
    for name in names:
        file = folder / f"{name}.json"
        if file.exists() and not again:
            _say(f"kept      {name}")
            continue
        with tempfile.TemporaryDirectory(prefix="busbar-replay-") as root:
            home = play(RUNS[name], Path(root))
            now = text(record(name, inspect.getdoc(RUNS[name]) or "", home))
        before = file.read_text(encoding="utf-8") if file.exists() else None
        file.write_text(now, encoding="utf-8")
        add_to_list(file)
        _say(
            f"{'recorded' if before is None else 'same' if before == now else 'changed':<9} {name}"
        )


def releases(folder: Path) -> list[str]:
    """The releases that the repository around ``folder`` knows."""
    done = subprocess.run(  # noqa: S603 - git with our own arguments
        ["git", "tag", "--list", RELEASES],  # noqa: S607 - the git on PATH
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # nothing of the platforms that were stopped has a say any more

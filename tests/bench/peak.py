"""The peak of a process's memory, as Linux counts it.

``python -m bench.peak FILE ARGUMENTS`` runs ``busbar ARGUMENTS`` and writes its peak to the file.
"""

import re
import sys
from pathlib import Path


def peak(pid: int | str = "self") -> float:
    """The most memory in MB that the process has had, of its own: not that of its parent."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(?P<kilobytes>\d+) kB$", status, re.MULTILINE)
    assert found is not None, "Linux says how much a process took"
    return int(found["kilobytes"]) / 1024


def main(place: Path, arguments: list[str]) -> None:
    """Run the command, and write its peak."""
    from busbar.cli.app import main as busbar  # noqa: PLC0415 - the command's own import

    sys.argv = ["busbar", *arguments]
    try:
        busbar()
    finally:
        place.write_text(f"{peak():.1f}", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

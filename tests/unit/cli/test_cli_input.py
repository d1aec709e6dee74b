"""Standard input may be closed, and a file may never end."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from busbar.runtime.secrets.names import MAX_VALUE_BYTES
from unit.sdk.running import Run

CLOSED = {
    ("apply", "-f", "-"): "Standard input is closed.",
    ("delete", "-f", "-", "--yes"): "Standard input is closed.",
    ("secrets", "put", "x"): "Standard input is closed.",
    ("release", "a/dev/event-stream/b"): "The question was not answered.",
}
MEMORY_BYTES = 1024**3
"""Enough for every command, and not for a file without an end."""


def in_a_shell(
    home: Path, arguments: Sequence[str], stdin: str
) -> subprocess.CompletedProcess[str]:
    """Run busbar with little memory and with ``stdin``, in words of a shell."""
    limit = f"ulimit -v {MEMORY_BYTES // 1024}; " if sys.platform == "linux" else ""
    command = [sys.executable, "-m", "busbar", "--home", str(home), *arguments]
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", f'{limit}"$@" {stdin}', "sh", *command],
        capture_output=True,
        text=True,
        cwd=home,
        env={"OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )


@pytest.mark.parametrize("arguments", CLOSED)
def test_closed_standard_input_is_refused(home: Path, arguments: Sequence[str]) -> None:
    refused = in_a_shell(home, arguments, "<&-")
    assert refused.returncode == 2, refused.stderr
    assert f"error: {CLOSED[tuple(arguments)]}" in refused.stderr
    assert "fix:" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("put", "a", "--from-file", "/dev/zero"), "</dev/null"),
        (("put", "a"), "</dev/zero"),
        (("rekey", "--old-key", "/dev/zero"), "</dev/null"),
    ],
)
def test_a_secret_without_an_end_is_refused(
    home: Path, arguments: Sequence[str], stdin: str
) -> None:
    refused = in_a_shell(home, ("secrets", *arguments), stdin)
    assert refused.returncode == 9, refused.stderr
    assert "is longer than 64 KiB" in refused.stderr


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_have_64_kib_besides_the_end_of_its_line(
    busbar: Run, tmp_path: Path, end: str
) -> None:
    file = tmp_path / "value"
    for more, code in ((0, 0), (1, 9)):
        value = "a" * (MAX_VALUE_BYTES + more)
        file.write_text(value + end, newline="")
        assert busbar("secrets", "put", "a", "--from-file", str(file)).exit_code == code
        assert busbar("secrets", "put", "b", stdin=value + end).exit_code == code

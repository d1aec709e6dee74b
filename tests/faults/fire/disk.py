"""A disk that is full: broker and home of a platform on one small file system.

The file system is a tmpfs of its own, so the scenario needs the right to mount one.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from pydantic import SecretStr

from busbar.cli.local import Platform
from busbar.kernel.errors import BusbarError, ConfigurationError
from busbar.messages.resource import ApplyResource
from busbar.sdk import Client
from busbar.sdk.events import intent_of
from faults.report import Findings, Row
from support import eventually
from support.lasting import last

SIZE = "700m"
READY_SECONDS = 30.0
"""The platform has to be ready at most this long after there is space: the broker starts again."""


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own in a new folder.

    Raises:
        ConfigurationError: it cannot be mounted.
    """
    with tempfile.TemporaryDirectory(prefix="busbar-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        done = subprocess.run(mount, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
        if done.returncode:
            raise ConfigurationError(
                f"No file system can be mounted: {done.stderr.strip()}",
                fix="Run the scenario disk-full as root.",
            )
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=False)  # noqa: S603, S607 - our own command


def fill(path: Path) -> None:
    """Write to ``path`` until there is no space left."""
    with path.open("wb", buffering=0) as file:
        for size in (1_000_000, 1_000):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


class _Sender:
    """Sends intents; remembers which were accepted, and what the refusals said."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.accepted: list[str] = []
        self.refusals: set[str] = set()
        self._count = 0

    async def send(self) -> None:
        self._count += 1
        named = {"team": "disk", "environment": "dev", "promise": "event-stream"}
        data = {**named, "name": f"s{self._count}", "spec": {"partitions": 1}}
        try:
            sent = await self._client.send(
                intent_of(ApplyResource, data), event_id=f"disk-{self._count}"
            )
        except BusbarError as error:
            self.refusals.add(str(error))
        else:
            self.accepted.append(str(sent.operation))


async def _play(home: Path, seed: int) -> Row:
    findings, said = Findings(), list[str]()
    platform = Platform(home / "home", report=said.append)
    await asyncio.to_thread(platform.start)
    try:
        await asyncio.to_thread(platform.wait_ready)
        before = dict(platform.pids)
        token = SecretStr(platform.token_file.read_text(encoding="ascii").strip())
        async with Client(platform.url, token, source=f"urn:disk:{seed}") as client:
            sender = _Sender(client)
            for _ in range(5):
                await sender.send()
            fill(home / "filler")
            for _ in range(5):
                await sender.send()
                await last(3)
            (home / "filler").unlink()
            await _judge(platform, sender, findings)
            for operation in sender.accepted:
                try:
                    await client.wait(operation, timeout=60)
                except BusbarError as error:
                    findings.lost.append(f"{operation}: {error}")
            if not (await client.completeness()).complete:
                findings.lost.append("the log is not complete")
        if dict(platform.pids) != before:
            findings.lost.append(f"processes were replaced: {before} by {platform.pids}")
        if not any("space" in refusal.lower() or "full" in refusal for refusal in sender.refusals):
            findings.lost.append(f"no refusal says that the disk is full: {sender.refusals}")
        if not any("Kafka" in sentence for sentence in said):
            findings.lost.append("nothing was reported about the broker")
    finally:
        await asyncio.to_thread(platform.stop)
    for column, found in findings.sentences().items():
        for sentence in found:
            sys.stderr.write(f"disk-full (seed {seed}): {column}: {sentence}\n")
    return Row(scenario="disk-full", seed=seed).plus(**findings.counts())


async def _judge(platform: Platform, sender: _Sender, findings: Findings) -> None:
    """Wait until everything is ready again, and the next intent is accepted."""

    async def ready() -> bool:
        states = await asyncio.to_thread(platform.readiness)
        return all(state.ready for state in states.values())

    began = monotonic()
    try:
        await eventually(ready, within=READY_SECONDS, every=0.2)
    except AssertionError:
        findings.stuck.append(f"not ready {READY_SECONDS:g} s after there was space")
    sys.stderr.write(f"disk-full: ready {monotonic() - began:.1f} s after there was space\n")
    count = len(sender.accepted)
    await sender.send()
    if len(sender.accepted) == count:
        findings.lost.append("the intent after that was refused")


def disk_full(seed: int) -> Row:
    """Fill the disk of a running platform, and make space again."""
    with small_disk() as home:
        return asyncio.run(_play(home, seed))

"""Sets the stage, plays the acts, and tells how it went."""

import base64
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from busbar.cli.demo.acts import Scene, act_1, act_2, act_3, act_4, act_5
from busbar.cli.demo.outside import Receiver, Stranger
from busbar.cli.demo.proof import act_6, tidy
from busbar.cli.demo.stage import TOLD, ActFailed, Stage, require
from busbar.cli.demo.world import World
from busbar.cli.local import Platform
from busbar.cli.local.home import read_notice
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.kernel.errors import BusbarError
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.settings import Settings, load_settings
from busbar.runtime.secrets import secrets_of
from busbar.sdk import Client

ACTS = (act_1, act_2, act_3, act_4, act_5, act_6)


@dataclass(frozen=True, slots=True)
class Place:
    """A running platform: where it keeps its state, its broker and its gateway."""

    home: Path
    bootstrap: str
    url: str


@contextmanager
def platform(settings: Settings, home: Path, console: Console) -> Iterator[Place]:
    """The platform that runs at ``home``, or one of the demo's own, stopped at the end."""
    running = _running(home)
    if running is not None:
        console.print(f"Attaching to the platform that runs here ({running.url}).")
        yield running
        return
    own = Path(tempfile.mkdtemp(prefix="busbar-demo-"))
    started = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"  [dim]{time.monotonic() - started:6.1f} s[/dim]  {text}")

    console.print("Starting a real Kafka and all services.")
    stage = Platform(own, bootstrap=settings.kafka_bootstrap_servers, tell=tell)
    try:
        with stage:
            stage.wait_ready(tell)
            yield Place(own, stage.bootstrap, stage.url)
    except BaseException:
        console.print(f"[dim]The logs are kept in {own / 'logs'}.[/dim]")
        raise
    shutil.rmtree(own, ignore_errors=True)


def _running(home: Path) -> Place | None:
    notice = read_notice(home)
    try:
        os.kill(int(notice["pid"]), 0)
    except (KeyError, TypeError, ValueError, OSError):
        return None
    return Place(home, str(notice["bootstrap"]), str(notice["gateway_url"]))


async def play(place: Place, console: Console) -> None:
    """Play every act.

    Raises:
        CommandError: one failed; the error names it.
    """
    team = f"demo-{secrets.token_hex(3)}"
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    token = SecretStr((place.home / "token").read_text(encoding="ascii").strip())
    stranger, world = Stranger(place.bootstrap, f"urn:demo:{team}"), World(place.bootstrap)
    receiver = Receiver(secret)
    async with Client(place.url, token, source=f"urn:demo:{team}", now=SystemClock().now) as client:
        stage = Stage(console, client, receiver)
        scene = Scene(stage, stranger, world, place.home, place.bootstrap, team)
        try:
            await stranger.start()
            await world.start()
            await receiver.start()
            await _subscribe(scene, place.home, secret)
            for number, act in enumerate(ACTS, start=1):
                await _play_one(number, act(scene))
            await _play_one(len(ACTS), tidy(scene))
            require(receiver.refused == 0, f"{receiver.refused} webhooks did not verify")
        finally:
            await receiver.stop()
            await world.stop()
            await stranger.stop()


async def _play_one(number: int, act: object) -> None:
    try:
        await act  # type: ignore[misc] # a coroutine of an act
    except (ActFailed, BusbarError, TimeoutError) as error:
        raise CommandError(
            f"Act {number} failed: {error}.",
            fix="`busbar doctor` tells how the services are; their logs are in <home>/logs.",
            code=ExitCode.FAILED,
        ) from error


async def _subscribe(scene: Scene, home: Path, secret: str) -> None:
    """Have what ends an operation delivered to the demo's receiver."""
    since = time.monotonic()
    reference = f"secret:{scene.team}"
    async with secrets_of(load_settings(home=home)) as store:
        await store.put(reference, SecretStr(secret), team=scene.team)
    accepted = await scene.stage.client.subscribe(
        f"{scene.team}/demo", url=scene.stage.receiver.url, types=TOLD, secret=reference
    )
    view = await scene.stage.client.wait(accepted.operation, timeout=30)
    if view.status != "succeeded":
        raise CommandError(
            f"The subscription was {view.status}: {view.detail}.",
            fix="See <home>/logs/notifier.log.",
            code=ExitCode.FAILED,
        )
    scene.stage.console.print()
    scene.stage.tell("subscribed", f"{scene.stage.receiver.url} for {scene.team}", since=since)

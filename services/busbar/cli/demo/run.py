"""Prepares the platform and the clients, plays the acts, and reports failures."""

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
from busbar.cli.demo.clients import BrokerReader, PlainProducer, Receiver
from busbar.cli.demo.erasure import act_7
from busbar.cli.demo.isolation import act_6, declare_visitor
from busbar.cli.demo.proof import act_8, clean_up
from busbar.cli.demo.stage import SUBSCRIBED_TYPES, ActFailed, Stage, require
from busbar.cli.local import Platform
from busbar.cli.local.home import read_state
from busbar.cli.local.principals import ADMINISTRATOR
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.kernel.errors import BusbarError
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.settings import Settings, load_settings
from busbar.runtime.core.signing_key import key_path
from busbar.runtime.secrets import SecretKind, secrets_of
from busbar.sdk import Client
from busbar.sdk.discovery import read_token

ACTS = (act_1, act_2, act_3, act_4, act_5, act_6, act_7, act_8)


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    """The home folder, broker and gateway of a running platform."""

    home: Path
    bootstrap: str
    url: str


@contextmanager
def attach_or_start(settings: Settings, home: Path, console: Console) -> Iterator[RunningPlatform]:
    """Attach to the platform that runs at ``home``, or run one until the block ends."""
    running = _running(home)
    if running is not None:
        console.print(f"Attaching to the platform that is running here ({running.url}).")
        yield running
        return
    own = Path(tempfile.mkdtemp(prefix="busbar-demo-"))
    declare_visitor(own)
    started = time.monotonic()

    def report(text: str) -> None:
        console.print(f"  [dim]{time.monotonic() - started:6.1f} s[/dim]  {text}")

    console.print("Starting a Kafka broker and all services.")
    platform = Platform(own, bootstrap=settings.kafka_bootstrap_servers, report=report)
    try:
        with platform:
            platform.wait_ready(report)
            yield RunningPlatform(own, platform.bootstrap, platform.url)
    except BaseException:
        console.print(f"[dim]The logs are kept in {own / 'logs'}.[/dim]")
        raise
    shutil.rmtree(own, ignore_errors=True)


def _running(home: Path) -> RunningPlatform | None:
    state = read_state(home)
    try:
        os.kill(int(state["pid"]), 0)
    except (KeyError, TypeError, ValueError, OSError):
        return None
    return RunningPlatform(home, str(state["bootstrap"]), str(state["gateway_url"]))


async def play(platform: RunningPlatform, console: Console) -> None:
    """Play every act.

    Raises:
        CommandError: an act failed; the error names it.
    """
    team = f"demo-{secrets.token_hex(3)}"
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    token = read_token(platform.home / "token")
    source = f"urn:demo:{team}"
    key = key_path(platform.home, ADMINISTRATOR)
    producer = PlainProducer(platform.bootstrap, source, key)
    broker = BrokerReader(platform.bootstrap)
    receiver = Receiver(secret)
    async with Client(platform.url, token, source=source, now=SystemClock().now) as client:
        stage = Stage(console, client, receiver)
        scene = Scene(
            stage, producer, broker, platform.home, platform.bootstrap, platform.url, team
        )
        try:
            await producer.start()
            await broker.start()
            await receiver.start()
            await _subscribe(scene, platform.home, secret)
            for number, act in enumerate(ACTS, start=1):
                await _play_act(number, act(scene))
            await _play_act(len(ACTS), clean_up(scene))
            require(receiver.refused == 0, f"{receiver.refused} webhooks did not verify")
        finally:
            await receiver.stop()
            await broker.stop()
            await producer.stop()


async def _play_act(number: int, act: object) -> None:
    try:
        await act  # type: ignore[misc] # a coroutine of an act
    except (ActFailed, BusbarError, TimeoutError) as error:
        raise CommandError(
            f"Act {number} failed: {error}.",
            fix="Check the services with `busbar doctor`; their logs are in <home>/logs.",
            code=ExitCode.FAILED,
        ) from error


async def _subscribe(scene: Scene, home: Path, secret: str) -> None:
    """Deliver the facts that end an operation to the demo's receiver."""
    since = time.monotonic()
    reference = f"secret:{scene.team}"
    async with secrets_of(load_settings(home=home)) as store:
        await store.put(reference, SecretStr(secret), team=scene.team, kind=SecretKind.WEBHOOK)
        accepted = await scene.stage.client.subscribe(
            f"{scene.team}/demo",
            url=scene.stage.receiver.url,
            types=SUBSCRIBED_TYPES,
            secret=reference,
        )
        view = await scene.stage.client.wait(accepted.operation, timeout=30)
        if view.status != "succeeded":
            await store.remove(reference)
            raise CommandError(
                f"The subscription was {view.status}: {view.detail}.",
                fix="See <home>/logs/notifier.log.",
                code=ExitCode.FAILED,
            )
    scene.stage.console.print()
    scene.stage.report("subscribed", f"{scene.stage.receiver.url} for {scene.team}", since=since)

"""The seventh act: personal data, sealed wherever they are stored, and erased for good."""

import time
from pathlib import Path

from busbar.cli.demo.acts import ENVIRONMENT, PROMISE, Scene
from busbar.cli.demo.stage import require
from busbar.kernel.personal import ERASED, SEALED


async def act_7(scene: Scene) -> None:
    """Order a stream with a person's address, find it nowhere, and erase it."""
    stage, since = scene.stage, time.monotonic()
    person = f"ann@{scene.team}.example"
    stage.title(7, f"a person: the address {person} is kept sealed, and erased")
    resource = f"{scene.team}/{ENVIRONMENT}/{PROMISE}/{scene.name('contact')}"
    receipt = await stage.client.apply(resource, {"contact": person})
    done = await stage.client.wait(receipt.operation, timeout=30)
    require(done.status == "succeeded", f"the stream is {done.status}: {done.detail}")
    kept = (await stage.client.resource(resource)).spec["contact"]
    require(set(kept) == {SEALED}, f"it is kept as {kept}")
    shown = (await stage.client.resource(resource, reveal=True)).spec["contact"]
    require(shown == person, f"it is revealed as {shown}")
    stage.report("sealed", f"contact: {{{SEALED}: {str(kept[SEALED])[:24]}…}}", since=since)
    places = [path.name for path in _stores(scene.home) if person.encode() in path.read_bytes()]
    require(not places, f"the address is in {places}")
    stage.report("searched", f"the address is in none of {len(_stores(scene.home))} databases")
    receipt = await stage.client.erase_subject(person)
    erased = await stage.client.wait(receipt.operation, timeout=30)
    require(erased.status == "succeeded", f"the erasure is {erased.status}: {erased.detail}")
    stage.report("erased", erased.detail, since=since)
    shown = (await stage.client.resource(resource, reveal=True)).spec["contact"]
    require(set(shown) == {ERASED}, f"it is still revealed as {shown}")
    stage.passed("no copy of it can be read any more, and no event was changed")


def _stores(home: Path) -> list[Path]:
    """Return the databases of the services, and their logs of newest transactions."""
    return [path for path in home.iterdir() if ".db" in path.name and path.is_file()]

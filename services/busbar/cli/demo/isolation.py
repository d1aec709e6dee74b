"""The sixth act: a principal of another team, which sees nothing of the first one."""

import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from busbar.cli.demo.acts import ENVIRONMENT, PROMISE, Scene
from busbar.cli.demo.stage import ActFailed, require
from busbar.cli.local.home import prepare
from busbar.cli.local.principals import ensure_principals
from busbar.runtime.core.signing_key import ensure_signing_key, key_path
from busbar.sdk import Client, GatewayProblem, KeyToken
from busbar.sdk.discovery import read_key

VISITOR: Final = "demo-visitor"
TEAM: Final = "demo-visitors"
_WITHOUT_TEAM: Final = "notifier"
"""A principal of every platform that is in no team."""

_DECLARED: Final = """\
  # Of another team than the one of the demo.
  - name: {name}
    kind: service-account
    teams: [{team}]
    sources: ["urn:demo:{name}"]
    keys: [{key}]
"""


def declare_visitor(home: Path) -> None:
    """Declare a principal of a second team in ``home``, before the platform starts there."""
    prepare(home)
    ensure_principals(home)
    key = ensure_signing_key(key_path(home, VISITOR)).public.text
    with (home / "principals.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + _DECLARED.format(name=VISITOR, team=TEAM, key=key))


def visitor_of(home: Path) -> KeyToken:
    """Return the credential of a principal that has nothing to do with the demo's team.

    A platform that the demo has not started itself has a service as such a principal.
    """
    own = key_path(home, VISITOR)
    name = VISITOR if own.exists() else _WITHOUT_TEAM
    return KeyToken(name, read_key(key_path(home, name)))


async def act_6(scene: Scene) -> None:
    """List and get as a principal of another team, and see nothing."""
    stage, since = scene.stage, time.monotonic()
    visitor = visitor_of(scene.home)
    where = f"of the team {TEAM}" if visitor.principal == VISITOR else "of no team"
    stage.title(6, f"a second team: {visitor.principal}, {where}, sees nothing of {scene.team}")
    mine = [one.id async for one in stage.client.resources(team=scene.team)]
    require(mine, "there is nothing that could be hidden")
    async with Client(scene.url, visitor) as client:
        seen: dict[str, list[Any]] = {
            "resources": [one async for one in client.resources()],
            "operations": [one async for one in client.operations()],
            "facts": [one async for one in client.facts(follow=False)],
            "audit records": list((await client.audit_page()).items),
        }
        for what, items in seen.items():
            require(not items, f"it sees {len(items)} {what} of others")
        stage.report("lists", f"{', '.join(seen)}: nothing", since=since)
        about = mine[0]
        missing = f"{scene.team}/{ENVIRONMENT}/{PROMISE}/{scene.name('missing')}"
        theirs = await _refused(lambda: client.resource(about), HTTPStatus.NOT_FOUND)
        nobodys = await _refused(lambda: client.resource(missing), HTTPStatus.NOT_FOUND)
        require(
            theirs.detail.replace(about, "") == nobodys.detail.replace(missing, ""),
            f"{theirs.detail!r} differs from {nobodys.detail!r}",
        )
        stage.report("get", theirs.detail, since=since)
        operation = scene.operations[-1]
        await _refused(lambda: client.operation(operation), HTTPStatus.NOT_FOUND)
        forbidden = await _refused(lambda: client.audit_page(resource=about), HTTPStatus.FORBIDDEN)
        stage.report("forbidden", forbidden.detail, since=since)
    stage.passed("what belongs to another team is answered as what does not exist")


async def _refused(call: Callable[[], Any], status: HTTPStatus) -> GatewayProblem:
    """Return the problem with which ``call`` is refused.

    Raises:
        ActFailed: it is not.
    """
    try:
        found = await call()
    except GatewayProblem as problem:
        require(problem.status == status, f"expected {status.value}, not: {problem}")
        return problem
    raise ActFailed(f"it was answered with {found}")

"""Intents and their expected results: a script for each resource, drawn from a seed."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Ending = Literal["provisioned", "deleted", "failed"]
ENDINGS: Mapping[str, Ending] = {
    "busbar.resource.provisioned.v1": "provisioned",
    "busbar.resource.deleted.v1": "deleted",
    "busbar.resource.failed.v1": "failed",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One intent: ``spec`` None asks for deletion."""

    resource: str
    id: str
    spec: Mapping[str, Any] | None
    ends: Ending

    @property
    def data(self) -> dict[str, Any]:
        """The intent's data."""
        team, environment, promise, name = self.resource.split("/")
        named = {"team": team, "environment": environment, "promise": promise, "name": name}
        return named if self.spec is None else {**named, "spec": dict(self.spec)}


@dataclass(slots=True)
class Script:
    """Continues indefinitely; remembers the state that the resource must have, and its effects.

    Every third ask or so fails in the backend after something was done, and has to be taken back.
    """

    resource: str
    rng: random.Random
    now: Mapping[str, Any] | None = None
    made: Counter[str] = field(default_factory=Counter)
    asked: list[Ask] = field(default_factory=list)

    def next(self) -> Ask:
        """Draw the next ask."""
        kind = self.rng.choices(("apply", "fail", "delete"), (5, 2, 2 if self.now else 0))[0]
        if kind == "delete":
            return self._ask(None, "deleted")
        before = self.now
        good = self._good()
        if kind == "fail" and (spec := self._failing(before or good)) is not None:
            if before is None:
                self.made.update(self._first(spec))
            return self._ask(spec, "failed")
        if before is None:
            self.made.update(self.things(good))
        return self._ask(good, "provisioned")

    def _ask(self, spec: Mapping[str, Any] | None, ends: Ending) -> Ask:
        if ends != "failed":
            self.now = spec
        ask = Ask(self.resource, f"{self.resource}-{len(self.asked)}", spec, ends)
        self.asked.append(ask)
        return ask

    @property
    def _is_stream(self) -> bool:
        return "/event-stream/" in self.resource

    def _good(self) -> dict[str, Any]:
        if not self._is_stream:
            return {"connection_limit": self.rng.randint(1, 200)}
        before = self.now or {"partitions": 1, "dead_letters": {"enabled": self.rng.random() < 0.5}}
        more = self.rng.randint(0, 1)
        return {
            "partitions": min(before["partitions"] + more, 6),
            "retention_hours": self.rng.randint(1, 168),
            "dead_letters": before["dead_letters"],
        }

    def _failing(self, before: Mapping[str, Any]) -> dict[str, Any] | None:
        """Like ``before``, but with something that the backend refuses at its last step."""
        if not self._is_stream:
            return {**before, "extensions": ["vector"]}
        if before["dead_letters"]["enabled"]:
            return None
        changed = {"retention_hours": self.rng.randint(1, 168)}
        return {**before, **changed, "dead_letters": {"enabled": True, "replicas": 5}}

    def _first(self, spec: Mapping[str, Any]) -> list[str]:
        """The things that a failing intent makes before it fails."""
        plain = {**spec, "dead_letters": {"enabled": False}}
        return self.things(plain) if self._is_stream else []

    def things(self, spec: Mapping[str, Any] | None) -> list[str]:
        """The things in the world that ``spec`` stands for."""
        if spec is None:
            return []
        team, environment, _, name = self.resource.split("/")
        if not self._is_stream:
            return [f"database {team}__{environment}__{name}"]
        topic = f"topic {team}.{environment}.{name}"
        more = [f"{topic}-dead-letters"] if spec["dead_letters"]["enabled"] else []
        return [topic, *more]


def scripts(seed: int, team: str, *, streams: int, databases: int, first: int = 0) -> list[Script]:
    """A script for each of so many resources, numbered from ``first``."""
    names = [f"{team}/dev/event-stream/s{first + number}" for number in range(streams)]
    names += [f"{team}/dev/postgres-database/d{first + number}" for number in range(databases)]
    return [Script(name, random.Random(f"{seed}/{name}")) for name in names]

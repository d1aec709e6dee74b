"""Reports of `busbar up` about the readiness of its processes: each change once."""

from collections.abc import Mapping

from busbar.cli.local.ready import Readiness

PATIENCE = 2
"""Consecutive looks at which a process has to be unready before that is reported."""


class HealthReport:
    """Turns the readiness of all processes, seen again and again, into sentences."""

    def __init__(self) -> None:
        """Begin with processes of which all are ready."""
        self._looks: dict[str, int] = {}
        self._reported: dict[str, str] = {}

    def changes(self, found: Mapping[str, Readiness]) -> list[str]:
        """Return a sentence for each problem that is new, and one when all have ended."""
        unready = {name: how.problem for name, how in found.items() if not how.ready}
        self._looks = {name: self._looks.get(name, 0) + 1 for name in unready}
        lasting = {name: why for name, why in unready.items() if self._looks[name] >= PATIENCE}
        new = {name: why for name, why in lasting.items() if self._reported.get(name) != why}
        by_problem: dict[str, list[str]] = {}
        for name, why in new.items():
            by_problem.setdefault(why, []).append(name)
        sentences = [f"{', '.join(sorted(names))}: {why}" for why, names in by_problem.items()]
        recovered = self._reported and not unready
        self._reported = {} if recovered else self._reported | new
        return ["every process is ready again"] if recovered else sentences

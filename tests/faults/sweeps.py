"""The sweeps as scenarios of ``python -m faults``: every await once, and random pairs."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faults.report import Row
from faults.scenarios import ALL
from faults.sweep import Kills, Outcome, Plan, doubles, every, exactly, play, play_resets, spread

Say = Callable[[str], None]
RESETS = "-resets"
"""What the name of a scenario whose connections are reset ends with."""

SHOWN = 10
"""The number of failures per kind of kill that are printed one by one."""

PRINT_SECONDS = 5.0


@dataclass(slots=True)
class Sweep:
    """Kills one scenario at each await, and ``doubles`` times twice.

    With ``resets``, its connections are reset at each await instead, and nothing is killed.
    """

    scenario: str
    doubles: int = 0
    resets: bool = False
    step: int | None = None
    """Every how many awaits; 1 leaves none out, None is the stride of the scenario."""
    workers: int = 2
    say: Say = print

    def __call__(self, seed: int) -> Row:
        """Sweep it under ``seed``."""
        plans = [every(self.stride, worker=n, workers=self.workers) for n in range(self.workers)]
        if self.resets:
            row = Row(scenario=self.scenario + RESETS, seed=seed)
            return _counted(row, self._carry_out("resets", seed, plans))
        singles = self._carry_out("single kills", seed, plans)
        row = _counted(Row(scenario=self.scenario, seed=seed), singles)
        pairs = doubles(self.scenario, seed=seed, singles=singles, number=self.doubles)
        shares = [exactly(pairs[n :: self.workers]) for n in range(self.workers)]
        twice = self._carry_out("double kills", seed, shares) if pairs else []
        return _counted(row, twice)

    @property
    def stride(self) -> int:
        """Every how many awaits it is killed."""
        scenario = ALL[self.scenario]
        by_default = scenario.reset_stride if self.resets else scenario.stride
        return self.step or by_default

    def _carry_out(self, what: str, seed: int, plans: Sequence[Plan]) -> list[Outcome]:
        printed, failed, number = time.monotonic(), 0, 0

        def progress(outcome: Outcome) -> None:
            nonlocal printed, failed, number
            number, failed = number + bool(outcome.kills), failed + bool(outcome.findings)
            if outcome.findings and failed <= SHOWN:
                name = self.scenario + (RESETS if self.resets else "")
                self.say(explanation(name, seed, outcome))
            if time.monotonic() >= printed + PRINT_SECONDS:
                printed = time.monotonic()
                self.say(f"  {self.scenario}: {number} {what}, {failed} did not hold")

        outcomes = spread(
            self.scenario,
            seed=seed,
            plans=plans,
            progress=progress,
            play=play_resets if self.resets else play,
        )
        whole = [one for one in outcomes if not one.kills]
        if len({one.print for one in whole}) != 1:
            raise RuntimeError(f"{self.scenario} did not run the same way twice under seed {seed}")
        return [*whole[:1], *(one for one in outcomes if one.kills)]


def _counted(row: Row, outcomes: Sequence[Outcome]) -> Row:
    for one in outcomes:
        if not one.kills and not row.awaits:
            row = row.plus(awaits=one.awaits)
        elif not one.kills:
            continue  # the run without a kill is counted with the single ones
        row = row.plus(
            single_kills=len(one.kills) == 1 and one.done == 1,
            double_kills=len(one.kills) > 1 and one.done == len(one.kills),
            **{column: len(sentences) for column, sentences in one.findings.items()},
        )
    return row


def replayed(scenario: str, *, seed: int, kills: Kills) -> Outcome:
    """One run alone, with these kills, or with a reset at the first of them."""
    name = scenario.removesuffix(RESETS)
    how = play if name == scenario else play_resets
    return next(one for one in how(name, seed=seed, plan=exactly([kills])) if one.kills == kills)


def command(scenario: str, seed: int, kills: Kills) -> str:
    """Return the command that repeats the run."""
    killed = f" --kill {','.join(map(str, kills))}" if kills else ""
    return f"python -m faults --scenario {scenario} --seed {seed}{killed}"


def explanation(scenario: str, seed: int, outcome: Outcome) -> str:
    """Return the violations, with the command that repeats them."""
    sentences = [
        f"    {column}: {sentence}"
        for column, found in outcome.findings.items()
        for sentence in found
    ]
    return "\n".join(["  " + command(scenario, seed, outcome.kills), *sentences])


def share(sweeps: Sequence[Sweep], total: int) -> None:
    """Share ``total`` double kills out among ``sweeps``."""
    killed = [sweep for sweep in sweeps if not sweep.resets]
    for number, sweep in enumerate(killed):
        sweep.doubles = total // len(killed) + (number < total % len(killed))


def cores() -> int:
    """Return how many processes can work in parallel."""
    return len(os.sched_getaffinity(0))

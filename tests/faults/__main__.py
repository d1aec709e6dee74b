"""``python -m faults``: what the platform does when its processes are stopped anywhere.

Without options every scenario runs: the simulated ones at every await and in pairs, the real ones
with real processes. What did not hold is named with the command that repeats it alone. The rows go
to build/faults.json; the exit code is 1 if one of them did not hold.

  python -m faults                                         everything
  python -m faults --scenario apply --scenario delete      only these
  python -m faults --scenario apply --seed 7               the same under another seed
  python -m faults --scenario apply --seed 7 --kill 118    stopped once, at the 118th await
  python -m faults --scenario apply --seed 7 --kill 118,40 and again at the 40th of the recovery
  python -m faults --every 10 --double 20                  a quick look: every tenth await
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from faults import report, sweeps
from faults.fire import FIRE
from faults.report import Row
from faults.scenarios import ALL
from faults.sweep import Kills
from faults.sweeps import Sweep

SIMULATED = {
    **{name: Sweep(name) for name in ALL},
    **{name + sweeps.RESETS: Sweep(name, resets=True) for name in ALL},
}
SCENARIOS: dict[str, Callable[[int], Row]] = {**SIMULATED, **FIRE}
"""What can be run: a name, and what runs it under a seed."""

REPORT = Path("build/faults.json")
COLUMNS = tuple(Row.__dataclass_fields__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 if everything held."""
    options = _options(arguments)
    if options.kill:
        return _replay(options.scenario or (), options.seed, options.kill)
    chosen = {name: SCENARIOS[name] for name in options.scenario or SCENARIOS}
    simulated = [one for one in chosen.values() if isinstance(one, Sweep)]
    sweeps.share(simulated, options.double)
    for sweep in simulated:
        sweep.step, sweep.workers, sweep.say = options.every, options.workers, _say
    rows = []
    for name, run in chosen.items():
        _say(f"{name} (seed {options.seed})")
        rows.append(run(options.seed))
        report.write(rows, options.report)
    _say(table(rows))
    strides = {name: one.stride for name, one in chosen.items() if isinstance(one, Sweep)}
    failed = [row for row in rows if not row.held or _is_partial(row, strides)]
    for row in failed:
        _say(f"{row.scenario} did not hold: {sweeps.command(row.scenario, row.seed, ())}")
    return 1 if failed else 0


def _is_partial(row: Row, strides: Mapping[str, int]) -> bool:
    """Return whether an await was left out although none should be."""
    return strides.get(row.scenario) == 1 and row.single_kills != row.awaits


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    cells = [COLUMNS, *([str(getattr(row, name)) for name in COLUMNS] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(COLUMNS))]
    lines = [
        "  ".join(
            c.rjust(w) if n else c.ljust(w)
            for n, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join(lines)


def _replay(names: Sequence[str], seed: int, kills: Kills) -> int:
    if len(names) != 1 or names[0] not in SIMULATED:
        _say(f"error: --kill needs one --scenario of {sorted(SIMULATED)}")
        return 2
    outcome = sweeps.replayed(names[0], seed=seed, kills=kills)
    _say(sweeps.explanation(names[0], seed, outcome))
    if outcome.done < len(kills):
        _say(f"  only {outcome.done} of {len(kills)} kills came about: a life was over before")
    _say(f"  {'did not hold' if outcome.findings else 'held'} (run {outcome.print})")
    return 1 if outcome.findings else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=sorted(SCENARIOS),
        help="run only this one; repeatable",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="gives the order of everything (1)",
    )
    parser.add_argument(
        "--double", type=int, default=350, metavar="N", help="double kills over all (350)"
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="kill at every Nth await only (1; 10 for some scenarios about keys)",
    )
    parser.add_argument(
        "--kill", type=_kills, metavar="A[,B]", help="one run, killed at these awaits of its lives"
    )
    parser.add_argument(
        "--workers", type=int, default=sweeps.cores(), metavar="N", help="processes (one per core)"
    )
    parser.add_argument(
        "--report", type=Path, default=REPORT, help=f"where the rows are written ({REPORT})"
    )
    return parser.parse_args(arguments)


def _kills(text: str) -> Kills:
    return tuple(int(part) for part in text.split(","))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _repeatable() -> None:
    """Restart with a fixed seed for hashes: sets of texts have an order that shows."""
    if sys.flags.hash_randomization:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}  # noqa: TID251 - handed on, not read
        command = [sys.executable, "-m", "faults", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)  # noqa: S606 - ourselves, no shell


if __name__ == "__main__":
    _repeatable()
    sys.exit(main())

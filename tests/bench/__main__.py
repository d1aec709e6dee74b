"""``python -m bench``: what the platform reaches, each figure beside its limit in the same run.

A limit is what the same machine does with the same input and output and nothing else, written as
well as we know; ours and the limit take turns, so that noise hits both alike. Believe ratios:
figures in seconds depend on the machine. A missed goal is reported and is not an error.

  python -m bench                                  everything; ten minutes on two cores
  python -m bench --quick                          small sizes, to see that it works
  python -m bench --only engine-noop,latency-p99   only these
  python -m bench --profile engine-noop            where the processor's time goes in that one
  python -m bench growth                           how cost grows: docs/growth.md and .svg

The rows go to build/bench.json; durability is the same on both sides (fsync and synchronous_commit
on, SQLite synchronous=FULL, acks=all). The exit code is 0 unless something broke.
"""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench import growth, report
from bench.figures import MEASUREMENTS
from bench.goals import GOALS
from bench.profiles import Profiles
from bench.report import Row
from bench.run import Run
from busbar.runtime.host.gc import tune_gc
from busbar.runtime.telemetry.logs import configure

REPORT = Path("build/bench.json")
PAGE = Path(__file__).parents[2] / "docs" / "growth.md"
ROUNDS, QUICK_ROUNDS = 5, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 0 unless something broke."""
    options = _options(arguments)
    configure(service="bench", level="ERROR", form="console")
    logging.getLogger().setLevel(logging.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_stoppable(_chosen(options)))
        except (asyncio.CancelledError, KeyboardInterrupt):
            _say("stopped")
            return 130


async def _stoppable(work: Coroutine[Any, Any, int]) -> int:
    """Do ``work``; SIGTERM ends it as Ctrl-C does, so that nothing is left running."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _chosen(options: argparse.Namespace) -> int:
    if options.what == "growth":
        growth.write(await growth.measure(_run(options)), options.page)
        return 0
    return await (_profiled(options) if options.profile else _measured(options))


async def _measured(options: argparse.Namespace) -> int:
    run = _run(options)
    tune_gc()  # as a service does; it is for both sides
    rows: list[Row] = []
    broken: list[str] = []
    for names, measure in MEASUREMENTS.items():
        wanted = [name for name in names if name in options.only]
        if not wanted:
            continue
        _say(", ".join(wanted))
        try:
            rows += [row for row in await measure(run) if row.name in wanted]
        except Exception:  # noqa: BLE001 - whatever broke, the other figures are still wanted
            _say(traceback.format_exc())
            broken += wanted
        report.write(rows, options.report)
    sys.stdout.write(report.table(rows) + "\n")
    if broken:
        _say(f"broken: {', '.join(broken)}")
    return 1 if broken else 0


async def _profiled(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="busbar-bench-profile-") as folder:
        profiles = Profiles(Path(folder))
        run = _run(options, profiles)
        measure = next(found for names, found in MEASUREMENTS.items() if options.profile in names)
        _say(f"profiling {options.profile}")
        await measure(run)
        tables = profiles.tables()
        for process, table in tables.items():
            sys.stdout.write(f"\n{process}\n{table}\n")
        if not tables:
            _say(f"{options.profile} runs nothing under the sampler")
    return 0


def _run(options: argparse.Namespace, profiles: Profiles | None = None) -> Run:
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return Run(quick=options.quick, rounds=rounds, seed=options.seed, say=_say, profiles=profiles)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=("growth",), help="how cost grows, instead of the figures"
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="where growth is written (docs/growth.md)"
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=tuple(GOALS),
        metavar="NAME[,NAME]",
        help=f"measure only these of {', '.join(GOALS)}",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work at all?")
    parser.add_argument(
        "--rounds",
        type=_positive,
        metavar="N",
        help=f"turns of each side ({ROUNDS}, or {QUICK_ROUNDS} when quick)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (1)")
    parser.add_argument(
        "--report", type=Path, default=REPORT, help=f"where the rows are written ({REPORT})"
    )
    parser.add_argument(
        "--profile",
        choices=tuple(GOALS),
        metavar="NAME",
        help="measure this one alone, and show where its own side spends the processor's time",
    )
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in GOALS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(GOALS)}")
    return names


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one")
    return number


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

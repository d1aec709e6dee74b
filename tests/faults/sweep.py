"""Stopping the platform at every await, and once more while it recovers.

The scenario runs once; at every await the process forks. The child is what comes after the kill:
it leaves everything behind that was in memory and starts again on what is durable, while the parent
goes on to the next await. So no kill costs more than its own recovery, and each can be repeated
alone: the same scenario, seed and awaits give the same run.
"""

import gc
import hashlib
import json
import os
import random
import selectors
import shutil
import signal
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from busbar.testing.memory import Fault, LoseAnswer, LoseRequest, Refuse
from faults.bus import Loss
from faults.scenarios import ALL
from faults.simulation import Simulation, simulated
from faults.verdict import judge

Kills = tuple[int, ...]
"""The awaits at which the process is stopped: of its first life, of its second, …"""

LONGEST_SECONDS = 120
"""A recovery that takes longer than this on the machine's own clock is given up."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one run. ``awaits`` are those after its last start."""

    kills: Kills
    done: int
    """How many of the kills came about: a life may be over before."""
    awaits: int
    print: str
    """The same for the same run."""
    findings: Mapping[str, Sequence[str]] = field(default_factory=dict)


Plan = Callable[[int], Sequence[Kills]]
"""Which kills begin with the await of this number."""


class Play(Protocol):
    """Runs a scenario, disturbed as a plan says."""

    def __call__(self, name: str, *, seed: int, plan: Plan) -> Iterator[Outcome]:
        """Return an outcome for each disturbance, and that of the undisturbed run."""
        ...


# -- one run ------------------------------------------------------------------------------------


def _outcome(simulation: Simulation, kills: Kills) -> Outcome:
    awaits, done = simulation.loop.awaits, simulation.life - 1
    found = judge(simulation)
    logs = sorted(simulation.broker.logs.items())
    seen = repr((simulation.clock.elapsed, awaits, simulation.outside, logs)).encode()
    return Outcome(
        kills=kills,
        done=done,
        awaits=awaits,
        print=hashlib.sha256(seen).hexdigest()[:16],
        findings={column: found for column, found in found.sentences().items() if found},
    )


def _recover(simulation: Simulation, kills: Kills, later: Kills) -> None:
    """Stop here, start again, and run to the end, or to the next kill."""
    simulation.restart()
    if later:
        trouble(simulation, kills)

    def kill(number: int) -> None:
        if later and number == later[0]:
            _recover(simulation, kills, later[1:])

    simulation.kill = kill
    simulation.run(simulation.scenario.asked)
    _leave(_outcome(simulation, kills))


def trouble(simulation: Simulation, kills: Kills) -> None:
    """Let the world and the bus lose requests and answers if the run is killed twice."""
    name = f"{simulation.scenario.name}/{simulation.seed}/{kills}"
    dice = random.Random(f"trouble/{name}")
    faults: Sequence[Fault] = (LoseAnswer(), LoseRequest(), Refuse())
    simulation.outside.world.fail(*dice.choices(faults, k=dice.randrange(3)))
    simulation.outside.silences = dice.randrange(3)
    simulation.outside.refusals = dice.randrange(2)
    losses = (None, None, *Loss)
    simulation.broker.losses = dice.choices(losses, k=dice.randrange(8))


_answer: int = -1
"""Where a forked process writes what came of it."""


def _leave(outcome: Outcome) -> None:
    """Write the outcome and exit, without any cleanup of what is in memory."""
    os.write(_answer, json.dumps(asdict(outcome)).encode())
    os._exit(0)


def _forked(body: Callable[[], object]) -> bytes:
    """Return the output of a fork of this process that runs ``body``."""
    global _answer  # noqa: PLW0603 - it belongs to the process, as does standard output
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer = writing
        signal.alarm(LONGEST_SECONDS)
        with suppress(BaseException):
            try:
                body()
            except BaseException:  # noqa: BLE001 - it is reported, and the process ends in any case
                os.write(writing, b"!" + traceback.format_exc().encode())
        os._exit(1)
    os.close(writing)
    output = b""
    while piece := os.read(reading, 65536):
        output += piece
    os.close(reading)
    os.waitpid(child, 0)
    return output


def _kill(simulation: Simulation, kills: Kills) -> Outcome:
    """Fork, and have the child be killed here."""
    root = simulation.root / f"kill-{'-'.join(map(str, kills))}"
    root.mkdir()
    simulation.root, before = root, simulation.root
    output = _forked(lambda: _recover(simulation, kills, kills[1:]))
    simulation.root = before
    shutil.rmtree(root)
    return _outcome_of(output, kills)


def _outcome_of(output: bytes, kills: Kills) -> Outcome:
    if output[:1] != b"{":
        why = output.decode()[1:] or f"it was still busy after {LONGEST_SECONDS} seconds"
        return Outcome(kills=kills, done=1, awaits=0, print="", findings={"stuck": [why]})
    return _read(output)


def _read(output: bytes) -> Outcome:
    fields = json.loads(output)
    return Outcome(**{**fields, "kills": tuple(fields["kills"])})


# -- many runs ----------------------------------------------------------------------------------


def play(name: str, *, seed: int, plan: Plan) -> Iterator[Outcome]:
    """Run the scenario to its end, killed at the awaits of ``plan`` in forks of this process.

    The last outcome is that of the run that was not killed.
    """
    place = MEMORY if MEMORY.is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="busbar-faults-", dir=place))
    outcomes: list[Outcome] = []
    try:
        simulation = Simulation(ALL[name], seed=seed, root=root)
        with simulated():
            simulation.prepare()
            gc.collect()
            gc.freeze()
            gc.disable()

            def kill(number: int) -> None:
                for kills in plan(number):
                    outcomes.append(_kill(simulation, kills))
                    _print(outcomes[-1])

            simulation.kill = kill
            simulation.run(simulation.scenario.asked)
            outcomes.append(_outcome(simulation, ()))
            _print(outcomes[-1])
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return iter(outcomes)


def play_resets(name: str, *, seed: int, plan: Plan) -> Iterator[Outcome]:
    """Run the scenario undisturbed, and once for each await of ``plan`` with a reset there.

    Every run is a fork that begins after the preparation: unlike after a kill, the process goes on
    with what it has in memory, and with files that no other run may use.
    """
    place = MEMORY if MEMORY.is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="busbar-faults-", dir=place))
    outcomes: list[Outcome] = []
    try:
        simulation = Simulation(ALL[name], seed=seed, root=root)
        with simulated():
            simulation.prepare()
            gc.collect()
            gc.freeze()
            gc.disable()
            whole = _reset(simulation, ())
            for number in range(1, whole.awaits + 1):
                for kills in plan(number):
                    outcomes.append(_reset(simulation, kills))
                    _print(outcomes[-1])
            outcomes.append(whole)
            _print(whole)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return iter(outcomes)


def _reset(simulation: Simulation, kills: Kills) -> Outcome:
    """Fork, and have the child's connections be reset at the await of ``kills``, if any."""
    root = simulation.root / f"reset-{'-'.join(map(str, kills))}"
    root.mkdir()

    def body() -> None:
        def reset(number: int) -> None:
            if (number,) == kills:
                simulation.reset_connections()

        simulation.root = root
        simulation.move()
        simulation.kill = reset
        simulation.run(simulation.scenario.asked)
        _leave(replace(_outcome(simulation, kills), done=len(kills)))

    output = _forked(body)
    shutil.rmtree(root)
    return _outcome_of(output, kills)


def _print(outcome: Outcome) -> None:
    if _answer >= 0:
        os.write(_answer, json.dumps(asdict(outcome)).encode() + b"\n")


def spread(
    name: str,
    *,
    seed: int,
    plans: Sequence[Plan],
    progress: Callable[[Outcome], None],
    play: Play = play,
) -> list[Outcome]:
    """Carry out each of ``plans`` by ``play`` in a process of its own, side by side."""
    outcomes: list[Outcome] = []
    with selectors.DefaultSelector() as waiting:
        children = [_worker(name, seed, plan, play) for plan in plans]
        for child, reading in children:
            waiting.register(reading, selectors.EVENT_READ, [child, b""])
        while waiting.get_map():
            for key, _ in waiting.select():
                piece = os.read(key.fd, 65536)
                if not piece:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
                    _check(key.data)
                    continue
                *lines, key.data[1] = (key.data[1] + piece).split(b"\n")
                for line in lines:
                    outcomes.append(_read(line))
                    progress(outcomes[-1])
    return outcomes


def _worker(name: str, seed: int, plan: Plan, play: Play) -> tuple[int, int]:
    global _answer  # noqa: PLW0603 - it belongs to the process, as does standard output
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    _answer = writing
    status = 1
    with suppress(BaseException):
        try:
            play(name, seed=seed, plan=plan)
            status = 0
        except BaseException:  # noqa: BLE001 - it is reported, and the process ends in any case
            os.write(2, traceback.format_exc().encode())
    os._exit(status)


def _check(worker: Sequence[Any]) -> None:
    child, rest = worker
    _, status = os.waitpid(child, 0)
    if status or rest:
        raise RuntimeError("a worker of the sweep died; what it said is above")


def every(step: int, *, worker: int, workers: int) -> Plan:
    """One kill at each ``step``-th await, shared out among ``workers``."""

    def plan(number: int) -> Sequence[Kills]:
        nth, rest = divmod(number, step)
        return [(number,)] if not rest and nth % workers == worker else []

    return plan


def exactly(kills: Iterable[Kills]) -> Plan:
    """These kills."""
    by_first: dict[int, list[Kills]] = defaultdict(list)
    for one in kills:
        by_first[one[0]].append(one)
    return lambda number: by_first.get(number, [])


def doubles(name: str, *, seed: int, singles: Sequence[Outcome], number: int) -> list[Kills]:
    """``number`` different pairs of awaits: anywhere, and anywhere in the recovery from there."""
    dice = random.Random(f"doubles/{name}/{seed}")
    recoveries = sorted((one.kills[0], one.awaits) for one in singles if one.kills and one.awaits)
    chosen: set[Kills] = set()
    while recoveries and len(chosen) < number:
        first, awaits = dice.choice(recoveries)
        chosen.add((first, dice.randint(1, awaits)))
    return sorted(chosen)

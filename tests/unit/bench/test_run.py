"""Both sides of a figure take turns, and their medians are compared."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from bench.__main__ import main
from bench.run import Run, beside


def run_of(rounds: int, *, quick: bool = False, said: list[str] | None = None) -> Run:
    heard = [] if said is None else said
    return Run(quick=quick, rounds=rounds, seed=1, say=heard.append)


def side(name: str, rates: Sequence[float], turns: list[str]) -> Callable[[], Awaitable[float]]:
    left = list(rates)

    async def turn() -> float:
        turns.append(name)
        return left.pop(0)

    return turn


async def test_the_limit_and_ours_take_turns() -> None:
    turns: list[str] = []
    limit, ours = side("limit", [1, 1], turns), side("ours", [1, 1], turns)
    await beside(run_of(2), "engine-noop", "events/s", ours=ours, limit=limit, called="l")
    assert turns == ["limit", "ours", "limit", "ours"]


async def test_the_ratio_is_that_of_the_medians() -> None:
    limit, ours = side("limit", [100, 1, 200], []), side("ours", [50, 90, 60], [])
    row = await beside(run_of(3), "engine-noop", "events/s", ours=ours, limit=limit, called="l")
    assert (row.value, row.limit_name, row.limit_value, row.ratio) == (60, "l", 100, 0.6)


async def test_each_round_is_reported() -> None:
    said: list[str] = []
    limit, ours = side("limit", [100, 100], []), side("ours", [50, 50], [])
    run = run_of(2, said=said)
    await beside(run, "engine-noop", "events/s", ours=ours, limit=limit, called="l")
    assert [line.split(":")[0].strip() for line in said] == ["engine-noop 1/2", "engine-noop 2/2"]


def test_sizes_are_small_when_quick() -> None:
    assert run_of(1).size(1000, quick=10) == 1000
    assert run_of(1, quick=True).size(1000, quick=10) == 10


@pytest.mark.parametrize("wrong", [["--only", "engine"], ["--rounds", "0"], ["--profile", "x"]])
def test_what_cannot_be_measured_is_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err

"""`make faults`: every scenario with real processes, under a seed that can be repeated."""

import pytest

from faults.fire import FIRE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", FIRE)
@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_doubled_leaked_or_stuck(name: str, seed: int) -> None:
    row = FIRE[name](seed)
    assert row.process_kills or name in {"lost-answer", "cut-link", "replayed-topics"}
    assert row.held, row

"""Migrations of the PostgreSQL schema run in the phase that their name states."""

from pathlib import Path

import pytest

from busbar.runtime.store.schema import migrations
from busbar.runtime.store.schema.migrations import is_before, target

STEPS = ("pre_0001", "pre_0002", "post_0003", "pre_0004", "post_0005")


@pytest.mark.parametrize(
    ("current", "phase", "reached"),
    [
        (None, "pre", "pre_0002"),
        (None, "post", "post_0005"),
        ("pre_0001", "pre", "pre_0002"),
        ("pre_0002", "pre", None),
        ("pre_0002", "post", "post_0005"),
        ("post_0003", "pre", "pre_0004"),
        ("post_0005", "post", None),
        ("pre_0009", "post", None),
    ],
)
def test_a_phase_goes_as_far_as_it_may(
    current: str | None, phase: str, reached: str | None
) -> None:
    assert target(current, phase, STEPS) == reached


def test_every_step_is_a_file_that_is_named_after_it() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    names = [path.stem for path in folder.glob("p*.py")]
    found = ["_".join(name.split("_")[:2]) for name in names]
    assert sorted(found, key=lambda name: name.split("_")[1]) == list(migrations.REVISIONS)


def test_a_release_runs_on_what_it_needs_and_on_what_is_newer() -> None:
    assert migrations.NEEDED in migrations.REVISIONS
    assert is_before("None", migrations.NEEDED)
    assert not is_before(migrations.NEEDED, migrations.NEEDED)
    assert not is_before("pre_9999", migrations.NEEDED)

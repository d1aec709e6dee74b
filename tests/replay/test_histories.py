"""Stored events are read as they were when they were recorded, whatever becomes of the code.

Every recording holds streams of a real run and the state after each of their events. An edit of an
``evolve`` that reads an old stream differently changes one of them.
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from busbar.messages import topics
from busbar.messages.base import Fact
from busbar.messages.catalogue import BY_TYPE, FACTS
from busbar.messages.delivery import HeadKeyRevoked, HeadPublished
from replay import states
from replay.folds import FOLDS, Events
from replay.recordings import HISTORIES, History, listed, load, sums, text
from replay.states import Shape, digests

TESTS = Path(__file__).parents[1]
ALL = {
    f"{file.stem}/{history.fold}/{history.name}": history
    for file in sorted(HISTORIES.glob("*.json"))
    for history in load(file).histories
}


def reread(history: History) -> tuple[list[str], Any]:
    """Fold ``history`` with the code of today."""
    return digests(FOLDS[history.fold].states(history.events), Shape(dict(history.fields)))


def first_difference(history: History, found: list[str]) -> str | None:
    """Name the first event that the code of today reads differently, if there is one."""
    for number, (event, then, now) in enumerate(
        zip(history.events, history.states, found, strict=True), start=1
    ):
        if then != now:
            return f"event {number} of {history.name} ({event.type}, version {event.version})"
    return None


@pytest.mark.parametrize("history", ALL.values(), ids=ALL)
def test_every_event_of_a_recorded_history_gives_the_state_that_it_gave_then(
    history: History,
) -> None:
    found, last = reread(history)
    assert first_difference(history, found) is None, (
        f"this reads an old stream differently; the state is now {last}"
    )
    assert last == history.last


@pytest.mark.parametrize("fold", FOLDS)
def test_every_fold_has_recorded_histories_with_more_than_one_state(fold: str) -> None:
    histories = [one for one in ALL.values() if one.fold == fold]
    assert any(len(set(one.states)) > 1 for one in histories)


NOT_SIMULATED = {HeadKeyRevoked.TYPE} | {
    fact.TYPE for fact in FACTS if fact.TOPIC == topics.FACTS_IDENTITY
}
"""The simulation, which makes the recordings, runs without the service identity."""


def test_every_fact_that_is_folded_is_in_a_recorded_history() -> None:
    recorded = {event.type for one in ALL.values() for event in one.events}
    wanted = {fact.TYPE for fact in FACTS if fact is not HeadPublished} - NOT_SIMULATED
    assert wanted - recorded == set(), "record a run in which it happens (tests/replay/runs.py)"


def test_every_recorded_fact_can_still_be_read() -> None:
    for history in ALL.values():
        for event in history.events:
            model = BY_TYPE.get(event.type)
            if model is not None and issubclass(model, Fact):
                model.model_validate_json(event.data)


def test_a_recording_says_the_same_when_it_is_written_again() -> None:
    for file in HISTORIES.glob("*.json"):
        assert text(load(file)) == file.read_text(encoding="utf-8"), file.name


def test_recordings_are_those_that_are_listed() -> None:
    assert sums() == listed(), "recordings are append-only: README.md says when they may change"


class Pair(NamedTuple):
    """A state, before and after a field was added."""

    left: int
    right: int = 0


@dataclass(frozen=True)
class Triple:
    """The same with one more field, and one that has another name."""

    links: int
    right: int = 0
    middle: int = 0


def test_a_field_that_is_added_to_a_state_does_not_change_how_a_stream_is_read() -> None:
    shape = Shape(recording=True)
    then, _ = digests(iter([{"a": Pair(1)}]), shape)

    class Wider(NamedTuple):
        left: int
        middle: str = ""
        right: int = 0

    now, _ = digests(iter([{"a": Wider(1)}]), Shape(shape.known))
    assert now == then


def test_a_field_that_is_renamed_is_found_by_its_old_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shape = Shape(recording=True)
    then, _ = digests(iter([Pair(1, 2)]), shape)
    with pytest.raises(AttributeError):
        digests(iter([Triple(1, 2)]), Shape(shape.known))
    monkeypatch.setattr(states, "RENAMED", {"left": "links"})
    now, _ = digests(iter([Triple(1, 2)]), Shape(shape.known))
    assert now == then


def test_a_fold_that_skips_an_event_is_found_at_that_event() -> None:
    history = ALL["updated/provisioner/resource/payments/dev/thing/orders"]
    shorter: Events = [event for event in history.events if event.version != 3]
    fewer = replace(history, events=shorter, states=history.states[:2] + history.states[3:])
    found, _ = reread(fewer)
    assert first_difference(fewer, found) is not None


# -- the recorder -------------------------------------------------------------------------------


def recorder(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """``python -m replay``, in a process of its own: it stops platforms where they are."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "replay", *arguments, "--folder", str(folder)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_recorder_records_what_is_not_there_and_keeps_what_is(tmp_path: Path) -> None:
    first = recorder("subscriptions", folder=tmp_path)
    assert (first.returncode, first.stdout) == (0, "recorded  subscriptions\n"), first.stderr
    file = tmp_path / "subscriptions.json"
    assert listed(tmp_path) == sums(tmp_path)
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    again = recorder("subscriptions", folder=tmp_path)
    assert again.stdout == "kept      subscriptions\n"
    assert file.read_text(encoding="utf-8").endswith("\n\n")
    assert listed(tmp_path) != sums(tmp_path), "what was edited must not be listed in passing"
    replaced = recorder("subscriptions", "--again", folder=tmp_path)
    assert replaced.stdout == "changed   subscriptions\n"
    assert listed(tmp_path) == sums(tmp_path)
    assert (
        recorder("subscriptions", "--again", folder=tmp_path).stdout == "same      subscriptions\n"
    )


def test_after_a_release_the_recorder_replaces_nothing(tmp_path: Path) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for command in (
        ("init", "-q"),
        (*who, "commit", "-q", "--allow-empty", "-m", "x"),
        ("tag", "v1"),
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)  # noqa: S603, S607 - git on PATH
    done = recorder("subscriptions", "--again", folder=tmp_path)
    assert done.returncode == 2
    assert "v1 is released" in done.stderr
    assert not list(tmp_path.glob("*.json"))


def test_a_run_that_there_is_not_is_named(tmp_path: Path) -> None:
    done = recorder("nothing", folder=tmp_path)
    assert done.returncode == 2
    assert "no run is called nothing" in done.stderr

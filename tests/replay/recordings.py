"""Recordings as files: streams as they were stored, and the state that each prefix folds to."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from busbar.runtime.store import StoredEvent
from replay.folds import FOLDS, Events, Fold
from replay.states import Shape, digests

HISTORIES = Path(__file__).parent / "histories"
SUMS = HISTORIES / "SHA256SUMS"
_TEXTS = ("data", "metadata")
"""Columns that hold JSON text; in a recording they stand as JSON, for people to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A stream, or several that are read as one, and what ``fold`` makes of it."""

    fold: str
    name: str
    events: Events
    fields: Mapping[str, list[str]]
    """The fields of the state when it was recorded (:class:`~replay.states.Shape`)."""
    states: list[str]
    """The digest of the state after each event."""
    last: Any
    """The state after the last one."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The streams that one run of the platform left in its stores."""

    run: str
    about: str
    histories: tuple[History, ...]


def record(run: str, about: str, home: Path) -> Recording:
    """The recording of a run whose stores are the SQLite files in ``home``."""
    found = [
        _history(name, stream, events)
        for name, fold in FOLDS.items()
        for stream, events in _streams(home / f"{fold.service}.db", fold)
    ]
    return Recording(run, about, tuple(found))


def _history(fold: str, name: str, events: Events) -> History:
    shape = Shape(recording=True)
    states, last = digests(FOLDS[fold].states(events), shape)
    return History(
        fold=fold, name=name, events=events, fields=shape.known, states=states, last=last
    )


def _streams(file: Path, fold: Fold) -> Iterator[tuple[str, Events]]:
    """The events of each stream that ``fold`` is about, or of all of them as one."""
    with closing(sqlite3.connect(file)) as store:
        rows = store.execute(
            f"SELECT {', '.join(StoredEvent._fields)} FROM events"  # noqa: S608 - our own columns
            " WHERE substr(stream, 1, length(:start)) = :start ORDER BY position",
            {"start": fold.streams},
        )
        events = [StoredEvent._make(row) for row in rows]
    if fold.together:
        yield f"{fold.streams}*", events
        return
    for stream in sorted({event.stream for event in events}):
        yield stream, [event for event in events if event.stream == stream]


def load(file: Path) -> Recording:
    """The recording in ``file``."""
    found = json.loads(file.read_text(encoding="utf-8"))
    histories = tuple(
        History(**{**one, "events": [_event(event) for event in one["events"]]})
        for one in found["histories"]
    )
    return Recording(found["run"], found["about"], histories)


def _event(plain: Mapping[str, Any]) -> StoredEvent:
    return StoredEvent(**{**plain, **{name: json.dumps(plain[name]) for name in _TEXTS}})


def text(recording: Recording) -> str:
    """The recording as a file: an event a line, so that a change can be read."""
    histories = ",\n".join(_lines(one) for one in recording.histories)
    return (
        f'{{"run": {_json(recording.run)},\n"about": {_json(recording.about)},\n'
        f'"histories": [\n{histories}\n]}}\n'
    )


def _lines(history: History) -> str:
    events = [
        {**event._asdict(), **{name: json.loads(getattr(event, name)) for name in _TEXTS}}
        for event in history.events
    ]
    return (
        f'{{"fold": {_json(history.fold)}, "name": {_json(history.name)},\n'
        f'"fields": {_json(history.fields)},\n'
        f'"events": [{_rows(events)}],\n"states": [{_rows(history.states)}],\n'
        f'"last": {json.dumps(history.last, ensure_ascii=False, indent=1, sort_keys=True)}}}'
    )


def _rows(values: list[Any]) -> str:
    return "".join(f"\n {_json(value)}{',' if value is not values[-1] else ''}" for value in values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def sums(folder: Path = HISTORIES) -> dict[str, str]:
    """The SHA-256 of each recording in ``folder``, by the name of its file."""
    return {file.name: _sum(file) for file in sorted(folder.glob("*.json"))}


def listed(folder: Path = HISTORIES) -> dict[str, str]:
    """The same as ``SHA256SUMS`` has them, which ``sha256sum --check`` can read too."""
    file = folder / SUMS.name
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    pairs = (line.split("  ", 1) for line in lines)
    return {name: digest for digest, name in pairs}


def add_to_list(file: Path) -> None:
    """Have ``SHA256SUMS`` say what is in ``file`` now; what it says of others stays."""
    known = listed(file.parent) | {file.name: _sum(file)}
    lines = (f"{digest}  {name}\n" for name, digest in sorted(known.items()))
    (file.parent / SUMS.name).write_text("".join(lines), encoding="ascii")


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()

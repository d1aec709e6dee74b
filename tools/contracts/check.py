"""The gate: generated files are up to date, and no edit breaks a released schema."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from busbar.messages.base import JsonObject, Message
from tools.contracts.breaking import ADVICE, breaking
from tools.contracts.generate import files, generated_on_disk, published, status_of
from tools.contracts.history import History, Version, read_history
from tools.contracts.names import ASYNCAPI, SCHEMAS, is_schema, schema_of_example

_GENERATE = "run `make generate` and commit what it writes"


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is refused: what is wrong, the details, and what to do."""

    path: str
    what: str
    fix: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The result of :func:`check`; ``compared`` counts the earlier versions it looked at."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    files: int
    compared: int


def check(root: Path, messages: Sequence[type[Message]], *, against: str | None = None) -> Report:
    """Compare what ``messages`` generate with the files under ``root`` and with the last release.

    ``against`` names the commit, branch or tag to compare with instead of the last release.

    Raises:
        ConfigurationError: git fails, ``against`` is unknown, jsoncompat is missing, or the
            messages cannot be generated.
    """
    wanted = files(messages)
    on_disk = generated_on_disk(root)
    history = read_history(root, against=against)
    earlier = [each for each in history.versions if status_of(each.text) == "published"]
    notes = history.notes or _nothing_frozen(history, earlier)
    lost = published(on_disk, sorted(on_disk.keys() - wanted.keys()))
    findings = [
        *_stale(root, wanted, on_disk, lost),
        *_unknown(root),
        *(_lost(path) for path in lost),
        *_deleted(earlier, wanted, on_disk),
        *_broken(earlier, wanted, on_disk),
    ]
    return Report(tuple(findings), notes, len(wanted), len(earlier))


def _nothing_frozen(history: History, earlier: Sequence[Version]) -> tuple[str, ...]:
    """Warn about a release that froze nothing, because all of its messages are drafts."""
    if earlier or not history.versions:
        return ()
    revision = history.versions[0].revision
    return (f"Every message of {revision} is a draft, so any of them may still change.",)


def _stale(
    root: Path, wanted: Mapping[str, str], on_disk: Mapping[str, str], lost: Sequence[str]
) -> list[Finding]:
    """Find generated files that differ, are missing, or belong to no message."""
    found = dict(on_disk)
    if (root / ASYNCAPI).is_file():
        found[ASYNCAPI] = (root / ASYNCAPI).read_bytes().decode("utf-8", errors="replace")
    findings = []
    for path, text in wanted.items():
        if path not in found:
            findings.append(Finding(path, "is missing", _GENERATE))
        elif found[path] != text:
            findings.append(Finding(path, "is not what the messages generate", _GENERATE))
    return findings + [
        Finding(path, "belongs to no message any more", _GENERATE)
        for path in sorted(on_disk.keys() - wanted.keys())
        if path not in lost and schema_of_example(path) not in lost
    ]


def _unknown(root: Path) -> list[Finding]:
    paths = (file.relative_to(root).as_posix() for file in (root / SCHEMAS).rglob("*.json"))
    return [
        Finding(path, "is neither a schema nor an example", "remove it, or keep it elsewhere")
        for path in sorted(paths)
        if not is_schema(path) and not schema_of_example(path)
    ]


def _lost(path: str) -> Finding:
    fix = "put the message back into messages/catalogue.py; a new version goes beside it"
    return Finding(path, "is published and no message generates it any more", fix)


def _deleted(
    earlier: Sequence[Version], wanted: Mapping[str, str], on_disk: Mapping[str, str]
) -> list[Finding]:
    return [
        Finding(
            each.path,
            f"was published (in {each.revision}) and has been deleted",
            "bring its message back: what is published stays, a new version goes beside it",
        )
        for each in earlier
        if each.path not in wanted and each.path not in on_disk
    ]


def _broken(
    earlier: Sequence[Version], wanted: Mapping[str, str], on_disk: Mapping[str, str]
) -> list[Finding]:
    """Find published versions that the current model, or the current file, breaks."""
    broken: list[tuple[str, str, tuple[str, ...]]] = []
    for each in earlier:
        candidates = {wanted.get(each.path), on_disk.get(each.path)} - {None, each.text}
        problems = {
            str(problem)
            for text in candidates
            if text is not None
            for problem in breaking(json.loads(each.text), _document(text))
        }
        if problems:
            broken.append((each.path, each.revision, tuple(sorted(problems))))
    return [
        Finding(
            path,
            f"breaks what was published (in {revision})",
            ADVICE,
            problems,
        )
        for path, revision, problems in broken
    ]


def _document(text: str) -> JsonObject:
    """Parse a schema; text that is not an object gives an empty one, which breaks everything."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

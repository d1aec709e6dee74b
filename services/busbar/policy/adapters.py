"""The loader of promise and rule files.

A folder is searched with its sub-folders for ``*.yaml`` and ``*.yml``, in upper or lower case;
links are followed, and names that start with a dot are skipped. Nothing else is left out silently:
a link without a target and a pipe with such a name are broken files, a folder that cannot be
searched is an error. A broken promise is left out of the catalogue, with the reason. A broken rule
stops the loading: without it, something would be allowed that should not be.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from busbar.kernel.errors import ConfigurationError
from busbar.policy.domain import promise_checks, rule_checks
from busbar.policy.domain.formatting import InputProblem, dotted
from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.promise import Promise, PromiseFile, Promises, promise_of
from busbar.policy.domain.rules import Rule, RuleBook, RuleFile
from busbar.runtime.core import documents
from busbar.runtime.core.document import Document, InvalidDocumentError, Position

_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_MAX_NAMED: Final = 10

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LocatedProblem:
    """An error in a file: its place, what is wrong, and what to do.

    ``position`` is None if no line is to blame, ``place`` is empty if the file cannot be read.
    """

    position: Position | None
    place: str
    problem: str
    fix: str

    def __str__(self) -> str:
        if self.place and self.position:
            return f"line {self.position.line}, at {self.place}: {self.problem} ({self.fix})"
        at = f"{self.position}: " if self.position else ""
        return f"{at}{self.problem} ({self.fix})"


@dataclass(frozen=True, slots=True)
class CheckedFile(Generic[Model]):
    """A file that was read: its content or its problems, and its ``name`` if that can be read."""

    path: Path
    name: str | None = None
    content: Model | None = None
    problems: tuple[LocatedProblem, ...] = ()

    def error(self, kind: str) -> ConfigurationError:
        """Return the problems as one error."""
        named = "; ".join(map(str, self.problems[:_MAX_NAMED]))
        more = len(self.problems) - _MAX_NAMED
        return ConfigurationError(
            f"The {kind} file {self.path} is broken: {named}"
            + (f"; and {more} more." if more > 0 else "."),
            fix="Correct it, then load it again.",
        )


def load_promises(paths: Sequence[Path]) -> Promises:
    """Load the promises in ``paths``, files and folders; ``Promises.broken`` has what is left out.

    A name that is used in two files is left out too, since either of them could be meant.

    Raises:
        ConfigurationError: a path does not exist or cannot be searched.
    """
    read = [_read(path, PromiseFile, promise_checks.problems_in) for path in _files(paths)]
    offered: dict[str, Promise] = {}
    broken: dict[str, str] = {}
    for claim, files in _by_claim(read).items():
        first = files[0]
        if len(files) > 1:
            names = " and ".join(str(file.path) for file in files)
            broken[claim] = f"the promise {claim} is in more than one file, {names}; keep one"
        elif first.content is None:
            problem = first.error("promise").problem
            broken[claim] = problem[0].lower() + problem[1:].removesuffix(".")
        else:
            offered[claim] = promise_of(first.content)
    return Promises(offered=offered, broken=broken)


def check_rules(paths: Sequence[Path]) -> list[CheckedFile[RuleFile]]:
    """Read and check every rule file in ``paths``, files and folders.

    Raises:
        ConfigurationError: a path does not exist.
    """
    files: list[CheckedFile[RuleFile]] = []
    found: dict[str, tuple[Path, Rule]] = {}
    for path in _files(paths):
        file = _read(path, RuleFile, rule_checks.problems_in)
        problems = []
        for rule in file.content.rules if file.content else ():
            first = found.setdefault(rule.name, (path, rule))
            if first[1] is not rule:
                problems.append(_repeated(rule.name, first[0]))
        if problems:
            file = replace(file, content=None, problems=tuple(problems))
        files.append(file)
    return files


def _repeated(name: str, first: Path) -> LocatedProblem:
    return LocatedProblem(
        position=None,
        place="",
        problem=f"the rule {name} is also in {first}",
        fix="give one of them another name",
    )


def load_rules(paths: Sequence[Path]) -> RuleBook:
    """Load the rules in ``paths``, files and folders.

    Raises:
        ConfigurationError: a path does not exist, a file is broken, an example does not come out
            as expected, or two rules share a name.
    """
    book: list[Rule] = []
    for file in check_rules(paths):
        if file.content is None:
            raise file.error("rule")
        book.extend(file.content.rules)
    return RuleBook.of(book)


def _files(paths: Iterable[Path]) -> list[Path]:
    """List the files to read, each once, in an order that does not depend on the file system."""
    found: dict[str, Path] = {}
    for given in paths:
        mode = _mode(given)
        if mode is None:
            raise ConfigurationError(
                f"The folder {given} does not exist.",
                fix="Create it, or correct BUSBAR_PROMISES or BUSBAR_POLICIES.",
            )
        files = sorted(_search(given, set())) if stat.S_ISDIR(mode) else [given]
        for path in files:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _search(folder: Path, searched: set[str]) -> Iterator[Path]:
    """Yield the files in ``folder`` and below, links without a target included.

    ``searched`` has the real paths of the folders that were searched, so that links can form a
    cycle.
    """
    real = os.path.realpath(folder)
    if real in searched:
        return
    searched.add(real)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise _unsearchable(folder, error) from error
    for path in paths:
        if path.name.startswith("."):
            continue
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            yield from _search(path, searched)
        elif mode is None or path.suffix.lower() in _SUFFIXES:
            yield path


def _mode(path: Path) -> int | None:
    """Return the type and permissions of ``path``, or None if it or its target does not exist."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise _unsearchable(path, error) from error
    except OSError:
        return None


def _unsearchable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be searched for promises and rules ({error.strerror}).",
        fix="Make the folder and those above it readable and searchable, or move it elsewhere.",
    )


def _by_claim(
    read: Iterable[CheckedFile[PromiseFile]],
) -> dict[str, list[CheckedFile[PromiseFile]]]:
    """Group files by the name in them, or by their path if there is none."""
    claims: dict[str, list[CheckedFile[PromiseFile]]] = {}
    for file in read:
        claims.setdefault(file.name or str(file.path), []).append(file)
    return claims


def _read(
    path: Path, model: type[Model], check: Callable[[Model], list[InputProblem]]
) -> CheckedFile[Model]:
    if problem := _not_a_file(path):
        return CheckedFile(path, problems=(problem,))
    try:
        document = documents.read(path)
    except InvalidDocumentError as error:
        problem = LocatedProblem(error.position, place="", problem=error.problem, fix=error.fix)
        return CheckedFile(path, problems=(problem,))
    name = document.data.get("name") if isinstance(document.data, dict) else None
    name = name if isinstance(name, str) and name else None
    try:
        content = model.model_validate(document.data)
    except ValidationError as error:
        problems = problems_of(error, model)
    else:
        problems = check(content)
        if not problems:
            return CheckedFile(path, name, content)
    return CheckedFile(path, name, problems=tuple(_located(document, one) for one in problems))


def _not_a_file(path: Path) -> LocatedProblem | None:
    mode = _mode(path)
    if mode is None:
        problem, fix = "it is a link whose target does not exist", "correct or remove the link"
    elif not stat.S_ISREG(mode):
        problem, fix = "it is not a regular file", "replace it by a file, or rename it"
    else:
        return None
    return LocatedProblem(position=None, place="", problem=problem, fix=fix)


def _located(document: Document, problem: InputProblem) -> LocatedProblem:
    return LocatedProblem(
        position=document.position_of(problem.place),
        place=dotted(problem.place),
        problem=problem.problem,
        fix=problem.fix,
    )

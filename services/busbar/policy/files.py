"""Promises and rules, read from folders.

A folder is searched with its sub-folders for ``*.yaml`` and ``*.yml``; what starts with a dot is
passed over. One broken promise is kept out of the catalogue, with the reason; one broken rule
stops the loading, since without it something would be allowed that should not be.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from busbar.kernel.errors import ConfigurationError
from busbar.policy.domain import checks, rules
from busbar.policy.domain.fields import problems_of
from busbar.policy.domain.promise import Promise, PromiseFile, Promises, promise_of
from busbar.policy.domain.rules import Rule, RuleBook, RuleFile
from busbar.policy.domain.words import Problem, dotted
from busbar.runtime.core import yaml

_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_MAX_NAMED: Final = 10

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Read(Generic[Model]):
    """One file: what it holds, or what is wrong with it; ``name`` as far as it could be read."""

    path: Path
    name: str | None = None
    content: Model | None = None
    problems: tuple[str, ...] = field(default=())

    def error(self, kind: str) -> ConfigurationError:
        """The problems as one error."""
        named = "; ".join(self.problems[:_MAX_NAMED])
        more = len(self.problems) - _MAX_NAMED
        return ConfigurationError(
            f"The {kind} file {self.path} is broken: {named}"
            + (f"; and {more} more." if more > 0 else "."),
            fix="Mend it, then load it again.",
        )


def load_promises(folders: Sequence[Path]) -> Promises:
    """The catalogue in ``folders``; what is broken in it is in ``Promises.broken``, to be logged.

    A name that two files claim is broken too: nobody can tell which of them is meant.

    Raises:
        ConfigurationError: a folder is not there or cannot be searched.
    """
    read = [_read(path, PromiseFile, checks.problems_in) for path in _files(folders)]
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


def load_promise(path: Path) -> Promise:
    """The promise in one file.

    Raises:
        ConfigurationError: it is broken; everything that is wrong with it is named.
    """
    read = _read(path, PromiseFile, checks.problems_in)
    if read.content is None:
        raise read.error("promise")
    return promise_of(read.content)


def load_rules(folders: Sequence[Path]) -> RuleBook:
    """The rules in ``folders``.

    Raises:
        ConfigurationError: a folder is not there, a file is broken, or two rules share a name.
    """
    found: dict[str, Path] = {}
    book: list[Rule] = []
    for path in _files(folders):
        read = _read(path, RuleFile, rules.problems_in)
        if read.content is None:
            raise read.error("rule")
        for rule in read.content.rules:
            if rule.name in found:
                raise ConfigurationError(
                    f"The rule {rule.name} is in {found[rule.name]} and again in {path}.",
                    fix="Give one of them another name.",
                )
            found[rule.name] = path
            book.append(rule)
    return RuleBook.of(book)


def _files(folders: Iterable[Path]) -> list[Path]:
    """The files to read, each once, in an order that does not depend on the file system."""
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(
                f"The folder {folder} is not there.",
                fix="Create it, or correct BUSBAR_PROMISES or BUSBAR_POLICIES.",
            )
        for path in sorted(folder.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.suffix in _SUFFIXES and not hidden and path.is_file():
                found.setdefault(path.resolve(), path)
    return list(found.values())


def _by_claim(read: Iterable[_Read[PromiseFile]]) -> dict[str, list[_Read[PromiseFile]]]:
    """The files by the name they claim, or by their own where they claim none."""
    claims: dict[str, list[_Read[PromiseFile]]] = {}
    for file in read:
        claims.setdefault(file.name or str(file.path), []).append(file)
    return claims


def _read(path: Path, model: type[Model], check: Callable[[Model], list[Problem]]) -> _Read[Model]:
    try:
        document = yaml.read(path)
    except yaml.InvalidYamlError as error:
        return _Read(path, problems=(str(error),))
    name = document.data.get("name") if isinstance(document.data, dict) else None
    name = name if isinstance(name, str) and name else None
    try:
        content = model.model_validate(document.data)
    except ValidationError as error:
        problems = problems_of(error, model)
    else:
        problems = check(content)
        if not problems:
            return _Read(path, name, content)
    return _Read(path, name, problems=tuple(_said(document, problem) for problem in problems))


def _said(document: yaml.Document, problem: Problem) -> str:
    """``line 12, at versions.v1.plan.0.adapter: what is wrong (what to do)``."""
    at = f", at {dotted(problem.place)}" if problem.place else ""
    return f"line {document.position_of(problem.place).line}{at}: {problem.problem} ({problem.fix})"

"""The loader of promise, rule and environment files.

A folder is searched with its sub-folders for ``*.yaml`` and ``*.yml``, in upper or lower case;
links are followed, and names that start with a dot are skipped. Nothing else is left out silently:
a link without a target and a pipe with such a name are broken files, a folder that cannot be
searched is an error. A broken promise is left out of the catalogue, with the reason. A broken rule
stops the loading: without it, something would be allowed that should not be. So does a broken
declaration of environments.

The rules that ship with busbar are always loaded. They are checked against what ships with it as
well, so that an installation with other promises or environments can load them.
"""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from busbar.backends.declaration import InstalledDeclarations
from busbar.kernel.errors import ConfigurationError
from busbar.policy.domain import environments, promise_checks, rule_checks
from busbar.policy.domain.environments import Environments, EnvironmentsFile
from busbar.policy.domain.formatting import InputProblem, dotted
from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.promise import Promise, PromiseFile, Promises, promise_of
from busbar.policy.domain.rule_scope import Known
from busbar.policy.domain.rules import Lift, Rule, RuleBook, RuleFile
from busbar.policy.domain.step_checks import Declared
from busbar.runtime.core import documents
from busbar.runtime.core.assets import asset
from busbar.runtime.core.document import Document, InvalidDocumentError, Position
from busbar.runtime.core.yaml_files import mode_of, yaml_files

_RULES: Final = "BUSBAR_POLICIES"
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
    document: Document | None = field(default=None, repr=False)

    def with_problems(self, problems: Sequence[InputProblem]) -> "CheckedFile[Model]":
        """Return the file with what is wrong in it: broken, if there is something."""
        if not problems or self.document is None:
            return self
        located = tuple(_located(self.document, one) for one in problems)
        return replace(self, content=None, problems=(*self.problems, *located))

    def error(self, kind: str) -> ConfigurationError:
        """Return the problems as one error."""
        named = "; ".join(map(str, self.problems[:_MAX_NAMED]))
        more = len(self.problems) - _MAX_NAMED
        return ConfigurationError(
            f"The {kind} file {self.path} is broken: {named}"
            + (f"; and {more} more." if more > 0 else "."),
            fix="Correct it, then load it again.",
        )


def check_promises(
    paths: Sequence[Path], adapters: Declared | None = None
) -> list[CheckedFile[PromiseFile]]:
    """Read and check every promise file in ``paths``, files and folders.

    ``adapters`` is what the plans are compared with; without it they are not.

    Raises:
        ConfigurationError: a path does not exist or cannot be searched.
    """

    def check(file: PromiseFile) -> list[InputProblem]:
        return promise_checks.problems_in(file, adapters)

    return [_checked(path, PromiseFile, check) for path in yaml_files(paths, "BUSBAR_PROMISES")]


def load_promises(paths: Sequence[Path], adapters: Declared | None = None) -> Promises:
    """Load the promises in ``paths``, files and folders; ``Promises.broken`` has what is left out.

    A name that is used in two files is left out too, since either of them could be meant.
    ``adapters`` is what the plans are compared with; without it they are not.

    Raises:
        ConfigurationError: a path does not exist or cannot be searched.
    """
    read = check_promises(paths, adapters)
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


def load_environments(path: Path) -> Environments:
    """Load the environments that the file at ``path`` declares.

    Raises:
        ConfigurationError: there is no such file, or it is broken.
    """
    if mode_of(path) is None and not path.is_symlink():
        raise ConfigurationError(
            f"The environment file {path} does not exist.",
            fix="Create it, or correct BUSBAR_ENVIRONMENTS.",
        )
    file = _checked(path, EnvironmentsFile, environments.problems_in)
    if file.content is None:
        raise file.error("environment")
    return Environments.of(file.content.environments)


def load_known(promise_folders: Sequence[Path], environments_file: Path) -> Known:
    """Load the promises in ``promise_folders`` and the environments of ``environments_file``.

    Promises are compared with the installed adapters.

    Raises:
        ConfigurationError: a path does not exist, or the declaration of environments is broken.
    """
    return Known(
        promises=load_promises(promise_folders, InstalledDeclarations()),
        environments=load_environments(environments_file),
    )


def shipped() -> Known:
    """Load the promises and the environments that ship with busbar."""
    return Known(
        promises=load_promises([asset("contracts/promises")]),
        environments=load_environments(asset("contracts/environments.yaml")),
    )


def check_rules(
    paths: Sequence[Path], known: Known, *, with_shipped: bool = True
) -> list[CheckedFile[RuleFile]]:
    """Read and check every rule file in ``paths``, files and folders, and those of busbar.

    Raises:
        ConfigurationError: a path does not exist.
    """
    ours = yaml_files([asset("contracts/policies")], _RULES) if with_shipped else []
    is_ours = {os.path.realpath(path) for path in ours}
    read = [_parsed(path, RuleFile) for path in yaml_files([*ours, *paths], _RULES)]
    found: dict[str, tuple[Path, Rule]] = {}
    repeated: dict[Path, list[InputProblem]] = {}
    for file in read:
        for index, rule in enumerate(file.content.rules if file.content else ()):
            first = found.setdefault(rule.name, (file.path, rule))
            if first[1] is not rule:
                repeated.setdefault(file.path, []).append(_repeated(index, rule.name, first[0]))
    rules = [rule for _, rule in found.values()]
    widened = known.widened(shipped()) if is_ours else known
    lifted = {
        lift.rule
        for file in read
        if file.content
        for lift in file.content.lifts
        if "*" in lift.environment
    }
    files: list[CheckedFile[RuleFile]] = []
    for file in read:
        if file.content is None:
            files.append(file)
            continue
        problems = repeated.get(file.path) or (
            _problems_of_ours(file.content, widened, lifted)
            if os.path.realpath(file.path) in is_ours
            else rule_checks.problems_in(file.content, known, others=rules)
        )
        files.append(file.with_problems(problems))
    return files


def _problems_of_ours(file: RuleFile, known: Known, lifted: set[str]) -> list[InputProblem]:
    """Return what is wrong with the rules of busbar that are not lifted everywhere.

    Their examples are about the promises of busbar, which may have been replaced.
    """
    problems = rule_checks.problems_in(file, known, examples=False)
    return [
        replace(one, fix=f"{one.fix}; or lift the rule")
        for one in problems
        if file.rules[int(one.place[1])].name not in lifted
    ]


def _repeated(index: int, name: str, first: Path) -> InputProblem:
    return InputProblem(
        ("rules", index, "name"),
        f"the rule {name} is also in {first}",
        "give one of them another name",
    )


def load_rules(paths: Sequence[Path], known: Known, *, with_shipped: bool = True) -> RuleBook:
    """Load the rules in ``paths``, files and folders, and those of busbar.

    Raises:
        ConfigurationError: a path does not exist, a file is broken, a rule can never fire, an
            example does not come out as expected, or two rules share a name.
    """
    book: list[Rule] = []
    lifts: list[Lift] = []
    for file in check_rules(paths, known, with_shipped=with_shipped):
        if file.content is None:
            raise file.error("rule")
        book.extend(file.content.rules)
        lifts.extend(file.content.lifts)
    return RuleBook.of(book, known.environments, lifts)


def _by_claim(
    read: Iterable[CheckedFile[PromiseFile]],
) -> dict[str, list[CheckedFile[PromiseFile]]]:
    """Group files by the name in them, or by their path if there is none."""
    claims: dict[str, list[CheckedFile[PromiseFile]]] = {}
    for file in read:
        claims.setdefault(file.name or str(file.path), []).append(file)
    return claims


def _parsed(path: Path, model: type[Model]) -> CheckedFile[Model]:
    """Read the file at ``path``; only its fields and their types are checked."""
    if problem := _not_a_file(path):
        return CheckedFile(path, problems=(problem,))
    try:
        document = documents.read(path)
    except InvalidDocumentError as error:
        problem = LocatedProblem(error.position, place="", problem=error.problem, fix=error.fix)
        return CheckedFile(path, problems=(problem,))
    name = document.data.get("name") if isinstance(document.data, dict) else None
    name = name if isinstance(name, str) and name else None
    read: CheckedFile[Model] = CheckedFile(path, name, document=document)
    try:
        return replace(read, content=model.model_validate(document.data))
    except ValidationError as error:
        return read.with_problems(problems_of(error, model))


def _checked(
    path: Path, model: type[Model], check: Callable[[Model], list[InputProblem]]
) -> CheckedFile[Model]:
    file = _parsed(path, model)
    return file.with_problems(check(file.content)) if file.content is not None else file


def _not_a_file(path: Path) -> LocatedProblem | None:
    mode = mode_of(path)
    if mode is None:
        problem, fix = "it does not exist", "correct the path"
        if path.is_symlink():
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

"""``busbar rules``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.file_notes import note_other_files
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json, print_table
from busbar.policy.adapters import CheckedFile, LocatedProblem, check_rules, load_known
from busbar.policy.domain.rules import Rule, RuleFile

EXAMPLES = (
    "busbar rules check",
    "busbar rules check rules/ more-rules.yaml",
    "busbar rules list -o json",
)

app = typer.Typer(
    help=(
        "Check and list house rules.\n\n"
        "Rules are read from the files and folders that are named, or else from those of "
        "BUSBAR_POLICIES and those that come with busbar. They are checked against the promises in "
        "BUSBAR_PROMISES and the environments in BUSBAR_ENVIRONMENTS. No platform has to be "
        "running."
    ),
    no_args_is_help=True,
    add_completion=False,
)

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Rule files, and folders of them; by default those of BUSBAR_POLICIES.",
        metavar="PATH",
        exists=True,
        show_default=False,
    ),
]


@app.command(epilog="Example: [bold]busbar rules check rules/[/]")
def check(context: typer.Context, paths: Paths = None, output: OutputOption = Output.TABLE) -> None:
    """Check rule files: the language, the patterns, and every example.

    A rule that can never fire is refused: one that names a promise or an environment that does not
    exist, a place that no intent has, or a value that is not allowed there. Each rule is tried on
    each of its examples. The exit code is 0 if everything is in order and 9
    if a file has to be corrected or there is none.
    """
    files = _checked(context, paths)
    ok = bool(files) and all(file.content is not None for file in files)
    if output is Output.JSON:
        print_json({"ok": ok, "files": [_as_json(file) for file in files]})
    else:
        _print(files)
    if not ok:
        raise typer.Exit(ExitCode.CONFIGURATION)


@app.command("list", epilog="Example: [bold]busbar rules list -o json[/]")
def list_rules(
    context: typer.Context, paths: Paths = None, output: OutputOption = Output.TABLE
) -> None:
    """List rules: what each is about, its effect, and how many examples it has.

    These are the rules in the files here. A note says so if the platform that runs here was started
    with other files, or if another one is named by --url.
    """
    if not paths:
        note_other_files(options_of(context))
    found: list[tuple[Rule, Path]] = []
    for file in _checked(context, paths):
        if file.content is None:
            raise file.error("rule")
        found.extend((rule, file.path) for rule in file.content.rules)
    found.sort(key=lambda item: item[0].name)
    if output is Output.JSON:
        print_json([_rule_as_json(rule, path) for rule, path in found])
        return
    if not found:
        typer.echo("There are no rules.")
        return
    columns = ("rule", "effect", "promise", "environment", "team", "action", "examples", "file")
    print_table(columns, [_row(rule, path) for rule, path in found])


def _checked(context: typer.Context, paths: Sequence[Path] | None) -> list[CheckedFile[RuleFile]]:
    settings = options_of(context).settings()
    files = check_rules(
        paths or settings.policies,
        load_known(settings.promise_folders(), settings.environments_file()),
    )
    if not paths:
        return files
    # The rules that come with busbar are part of the check, not of what was named.
    named = [path.resolve() for path in paths]
    return [
        file
        for file in files
        if file.content is None
        or any(file.path.absolute().is_relative_to(one.absolute()) for one in paths)
        or any(file.path.resolve().is_relative_to(one) for one in named)
    ]


def _print(files: Sequence[CheckedFile[RuleFile]]) -> None:
    out = console()
    for file in files:
        if file.content is None:
            out.print(f"[red]broken[/]  {plain(file.path)}")
            for problem in file.problems:
                out.print(f"  {plain(_located(problem))}")
                out.print(f"    fix: {plain(problem.fix)}")
            continue
        rules = file.content.rules
        examples = sum(len(rule.examples) for rule in rules)
        counted = f"{_count(len(rules), 'rule')}, {_count(examples, 'example')}"
        if lifts := len(file.content.lifts):
            counted += f", {_count(lifts, 'lift')}"
        out.print(f"[green]ok[/]      {plain(file.path)}  {counted}")
        for rule in rules:
            if not rule.examples:
                out.print(f"  [yellow]note:[/] {plain(rule.name)} has no examples")
    if not files:
        out.print("There are no rule files.")
        out.print("  fix: name files or folders with *.yaml or *.yml, or set BUSBAR_POLICIES")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _located(problem: LocatedProblem) -> str:
    at = f"line {problem.position.line}: " if problem.position else ""
    return f"{at}{problem.problem}"


def _as_json(file: CheckedFile[RuleFile]) -> dict[str, Any]:
    rules = file.content.rules if file.content else ()
    return {
        "path": str(file.path),
        "ok": file.content is not None,
        "rules": len(rules),
        "examples": sum(len(rule.examples) for rule in rules),
        "lifts": len(file.content.lifts) if file.content else 0,
        "problems": [
            {
                "line": problem.position.line if problem.position else None,
                "place": problem.place,
                "problem": problem.problem,
                "fix": problem.fix,
            }
            for problem in file.problems
        ],
    }


def _rule_as_json(rule: Rule, path: Path) -> dict[str, Any]:
    return {
        "name": rule.name,
        "description": rule.description,
        "effect": rule.effect,
        "match": rule.match.model_dump(mode="json"),
        "message": rule.message,
        "fix": rule.fix,
        "examples": len(rule.examples),
        "file": str(path),
    }


def _row(rule: Rule, path: Path) -> list[str]:
    match = rule.match
    about = (match.promise, match.environment, match.team, match.action)
    cells = [rule.name, rule.effect, *map(", ".join, about), str(len(rule.examples)), str(path)]
    return [plain(cell) for cell in cells]

"""``busbar promises``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from busbar.backends.declaration import InstalledDeclarations
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json
from busbar.policy.adapters import CheckedFile, LocatedProblem, check_promises
from busbar.policy.domain.promise import PromiseFile

EXAMPLES = (
    "busbar promises check",
    "busbar promises check promises/ -o json",
)

app = typer.Typer(
    help=(
        "Check promise files.\n\n"
        "Promises are read from the files and folders that are named, or else from those of "
        "BUSBAR_PROMISES. No platform has to be running."
    ),
    no_args_is_help=True,
    add_completion=False,
)

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Promise files, and folders of them; by default those of BUSBAR_PROMISES.",
        metavar="PATH",
        exists=True,
        show_default=False,
    ),
]


@app.callback()
def promises() -> None:
    """Check promise files."""


@app.command(epilog="Example: [bold]busbar promises check promises/[/]")
def check(context: typer.Context, paths: Paths = None, output: OutputOption = Output.TABLE) -> None:
    """Check promise files as policy does when it starts.

    Checks the format, the schema and its references, the plan, the outputs and the examples, and
    compares the plan with what the installed adapters declare. The exit code is 0 if everything is
    in order and 9 if a file has to be corrected or there is none.
    """
    folders = paths or options_of(context).settings().promise_folders()
    adapters = InstalledDeclarations()
    files = check_promises(folders, adapters)
    repeated = _repeated(files)
    ok = bool(files) and all(file.content is not None for file in files) and not repeated
    if output is Output.JSON:
        shown = [_as_json(file) for file in files]
        print_json({"ok": ok, "files": shown, "repeated": repeated})
    else:
        _print(files, repeated)
    if not ok:
        raise typer.Exit(ExitCode.CONFIGURATION)


def _repeated(files: Sequence[CheckedFile[PromiseFile]]) -> dict[str, list[str]]:
    """Return the names that more than one file has, with the files."""
    found: dict[str, list[str]] = {}
    for file in files:
        if file.name is not None:
            found.setdefault(file.name, []).append(str(file.path))
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def _print(files: Sequence[CheckedFile[PromiseFile]], repeated: dict[str, list[str]]) -> None:
    out = console()
    for file in files:
        if file.content is None:
            out.print(f"[red]broken[/]  {plain(file.path)}")
            for problem in file.problems:
                out.print(f"  {plain(_located(problem))}")
                out.print(f"    fix: {plain(problem.fix)}")
            continue
        versions = file.content.versions
        examples = sum(len(version.examples) for version in versions.values())
        counted = f"{', '.join(versions)}, {examples} example{'' if examples == 1 else 's'}"
        out.print(f"[green]ok[/]      {plain(file.path)}  {plain(file.name)} {counted}")
    for name, paths in repeated.items():
        out.print(f"[red]broken[/]  {plain(name)} is in more than one file: {plain(paths)}")
        out.print("    fix: keep one, or give the others names of their own")
    if not files:
        out.print("There are no promise files.")
        out.print("  fix: name files or folders with *.yaml or *.yml, or set BUSBAR_PROMISES")


def _located(problem: LocatedProblem) -> str:
    at = f"line {problem.position.line}: " if problem.position else ""
    place = f"{problem.place}: " if problem.place else ""
    return f"{at}{place}{problem.problem}"


def _as_json(file: CheckedFile[PromiseFile]) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "name": file.name,
        "ok": file.content is not None,
        "versions": list(file.content.versions) if file.content else [],
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

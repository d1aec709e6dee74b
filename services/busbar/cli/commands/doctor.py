"""``busbar doctor``."""

from dataclasses import asdict

import typer

from busbar.cli.doctor.checks import Finding, examine
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table

EXAMPLES = ("busbar doctor",)


def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Check whether `busbar up` can work here, and what is missing.

    The exit code is 0 only if it can, and if a platform that runs here is well; otherwise 9.
    """
    findings = list(examine(options_of(context).settings()))
    works = all(finding.ok or not finding.needed for finding in findings)
    if output is Output.JSON:
        print_json({"works": works, "checks": [asdict(finding) for finding in findings]})
    else:
        rows = [
            (plain(one.name), _mark(one), plain(one.detail), plain(one.fix)) for one in findings
        ]
        print_table(("check", "", "found", "fix"), rows)
    if not works:
        raise typer.Exit(ExitCode.CONFIGURATION)


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "[green]ok[/]"
    return "[red]missing[/]" if finding.needed else "[yellow]absent[/]"

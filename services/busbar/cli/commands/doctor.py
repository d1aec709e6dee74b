"""``busbar doctor``."""

from dataclasses import asdict

import typer

from busbar.cli.doctor.checks import check_python, check_settings, run_checks
from busbar.cli.doctor.clusters import check_clusters
from busbar.cli.doctor.result import CheckResult
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table
from busbar.runtime.core.settings import InvalidSettings

EXAMPLES = ("busbar doctor",)


def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Check whether `busbar up` can run here, and what is missing.

    Checks the settings, Python, Kafka (a running broker, Java and Maven, or Docker), the database
    of the services and the collector of traces if they are set, disk space, the home folder, the
    gateway's port, and the files of environments, promises and rules. If a platform is running
    here, checks its services too; if promises need PostgreSQL clusters, checks that their URLs are
    stored, that they answer, and that teams reach no databases but their own. Exit codes: 0
    everything needed is there, 9 something is missing or wrong.
    """
    try:
        settings = options_of(context).settings()
    except InvalidSettings as error:
        results = [check_python(), *check_settings(error.problems)]
    else:
        results = [*run_checks(settings), *check_clusters(settings)]
    works = all(result.ok or not result.needed for result in results)
    if output is Output.JSON:
        print_json({"works": works, "checks": [asdict(result) for result in results]})
    else:
        rows = [(plain(one.name), _mark(one), plain(one.detail), plain(one.fix)) for one in results]
        print_table(("check", "", "found", "fix"), rows)
    if not works:
        raise typer.Exit(ExitCode.CONFIGURATION)


def _mark(result: CheckResult) -> str:
    if result.ok:
        return "[green]ok[/]"
    return "[red]error[/]" if result.needed else "[yellow]warning[/]"

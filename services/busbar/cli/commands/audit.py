"""``busbar audit``."""

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json, print_table
from busbar.cli.shared.progress import DelayedStatus
from busbar.kernel.suggest import listed
from busbar.sdk import Client, Completeness

EXAMPLES = ("busbar audit check",)

_COLUMNS = ("service", "published", "stored", "missing", "digest matches", "heads verified")
_UNSIGNED = (
    "No head of {services} is signed: that nothing is missing holds if no one else could write to "
    "Kafka."
)

app = typer.Typer(
    help="Check that the audit log is complete.", no_args_is_help=True, add_completion=False
)


@app.callback()
def audit() -> None:
    """Check that the audit log is complete."""


@app.command(epilog="Example: [bold]busbar audit check -o json[/]")
def check(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Compare the audit log with what every service published, and with Kafka.

    Each row shows how many events a service published, how many of them the log stores, which are
    missing, whether their digests match, and how many heads are verified: those that the service
    has signed with its own key. Exit codes: 0 complete, 8 something is missing or was changed.
    """

    async def body(client: Client) -> Completeness:
        async with DelayedStatus(output) as status:
            return await client.completeness(progress=status.progress)

    report = call(options_of(context), body)
    if output is Output.JSON:
        print_json(report)
    else:
        rows = [
            (
                plain(relay.relay),
                str(relay.head),
                str(relay.stored),
                ", ".join(f"{first}-{last}" for first, last in relay.missing) or "nothing",
                "[green]yes[/]" if relay.digest_matches else "[red]no[/]",
                f"{relay.heads_verified} of {relay.heads}",
            )
            for relay in report.relays
        ]
        print_table(_COLUMNS, rows)
        out = console()
        for problem in report.problems:
            out.print(f"[red]{plain(problem.get('kind'))}[/]  {plain(problem.get('detail'))}")
        if report.more:
            out.print(f"[red]and {report.more:,} more[/]")
        unsigned = [one.relay for one in report.relays if not one.heads_verified]
        if unsigned:
            out.print(f"[yellow]{plain(_UNSIGNED.format(services=listed(unsigned)))}[/]")
        out.print(_conclusion(report))
    if not report.complete:
        raise typer.Exit(ExitCode.DIFFERENT)


def _conclusion(report: Completeness) -> str:
    if report.complete:
        return "[green]The log is complete.[/]"
    kinds = {problem.get("kind") for problem in report.problems}
    if not report.more and all(str(kind).startswith("head_") for kind in kinds):
        return (
            "[red]Nothing is missing from the log, but it has heads that prove nothing.[/]\n"
            "  fix: find out who can write to the topics and to audit's store "
            "(docs/how-to/read-the-log.md)"
        )
    if kinds != {"digest_differs"} or report.more:
        return "[red]The log is not complete.[/]"
    return (
        "[red]Nothing is missing from the log, but a part of it is not what was announced.[/]\n"
        "  Either an event was changed, or a store that is older than Kafka was restored: then "
        "this stays so.\n"
        "  fix: compare the date of a restore (docs/how-to/back-up-and-restore.md); without one, "
        "find out who can write to the topics and to audit's store"
    )

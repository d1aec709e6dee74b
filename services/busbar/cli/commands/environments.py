"""``busbar environments``."""

import typer

from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table
from busbar.policy.adapters import load_environments

EXAMPLES = ("busbar environments", "busbar environments -o json")


def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the environments that intents can name, in their order.

    They are declared in the file of BUSBAR_ENVIRONMENTS, or else in the one that comes with busbar.
    No platform has to be running. The exit code is 9 if the file has to be corrected.
    """
    declared = load_environments(options_of(context).settings().environments_file()).declared
    if output is Output.JSON:
        print_json([one.model_dump(mode="json") for one in declared.values()])
        return
    rows = [
        (
            plain(one.name),
            str(one.order),
            plain(", ".join(f"{label}={value}" for label, value in one.labels.items())),
            plain(one.title),
        )
        for one in declared.values()
    ]
    print_table(("environment", "order", "labels", "title"), rows)

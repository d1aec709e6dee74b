"""``busbar environments``."""

import typer

from busbar.cli.shared.file_notes import note_other_files
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, plain, print_json, print_table
from busbar.policy.adapters import load_environments

EXAMPLES = ("busbar environments", "busbar environments -o json")


def command(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the environments that intents can name, in their order.

    They are declared in the file of BUSBAR_ENVIRONMENTS, or else in the one that comes with busbar.
    No platform has to be running. A note says so if the platform that runs here was started with
    other files, or if another one is named by --url. The exit code is 9 if the file has to be
    corrected.
    """
    options = options_of(context)
    declared = load_environments(options.settings().environments_file()).declared
    note_other_files(options)
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

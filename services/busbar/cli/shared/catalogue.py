"""Promises and subscriptions as lists."""

from collections.abc import Sequence

import typer

from busbar.cli.shared.output import Output, coloured, plain, print_json, print_table
from busbar.cli.shared.times import shown
from busbar.messages.http import PromiseView
from busbar.messages.webhooks import SubscriptionView


def show_promises(views: Sequence[PromiseView], output: Output, *, heading: bool = True) -> None:
    """Print promises as a table, with or without its heading, or as JSON."""
    if output is Output.JSON:
        print_json(views)
        return
    if not views:
        typer.echo("No promises found.")
        return
    rows = [
        (
            plain(view.name),
            coloured("broken" if view.problem else "offered"),
            plain(", ".join(one.version for one in view.versions)),
            plain(view.owner),
            plain(view.problem or view.title),
        )
        for view in views
    ]
    print_table(("promise", "status", "versions", "owner", "about"), rows, heading=heading)


def show_subscriptions(
    views: Sequence[SubscriptionView], output: Output, *, heading: bool = True
) -> None:
    """Print subscriptions as a table, with or without its heading, or as JSON."""
    if output is Output.JSON:
        print_json(views)
        return
    if not views:
        typer.echo("No subscriptions found.")
        return
    rows = [
        (
            plain(view.subscription),
            plain(view.url),
            plain(", ".join(view.types)),
            plain(view.secret),
            shown(view.updated),
        )
        for view in views
    ]
    print_table(("subscription", "url", "types", "secret", "updated"), rows, heading=heading)

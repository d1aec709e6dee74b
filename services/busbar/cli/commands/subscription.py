"""``busbar subscription``."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from busbar.cli.shared.catalogue import show_subscriptions
from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import usage
from busbar.cli.shared.ids import subscription_id
from busbar.cli.shared.options import TimeoutOption, WaitOption, options_of
from busbar.cli.shared.output import (
    Output,
    OutputOption,
    coloured,
    console,
    plain,
    print_json,
    print_table,
)
from busbar.cli.shared.request import request
from busbar.cli.shared.times import parse_time_argument, shown
from busbar.messages.webhooks import AttemptView, DeliveryStatus
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Client, DeliveryView, SubscriptionView

EXAMPLES = ("busbar subscription list --team payments",)

app = typer.Typer(
    help="List and test webhook subscriptions, show attempts, and deliver again.",
    no_args_is_help=True,
    add_completion=False,
)

SubscriptionId = Annotated[
    str, typer.Argument(help="The subscription, team/name.", metavar="SUBSCRIPTION")
]
EventOption = Annotated[
    str | None, typer.Option(help="Only the delivery of this fact: its id, the webhook-id.")
]


@app.command("list", epilog="Example: [bold]busbar subscription list --team payments[/]")
def list_subscriptions(
    context: typer.Context,
    team: Annotated[str | None, typer.Option(help="Only those of this team.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List webhook subscriptions."""

    async def body(client: Client) -> list[SubscriptionView]:
        return [one async for one in client.subscriptions(team=team)]

    show_subscriptions(call(options_of(context), body), output)


@app.command(
    epilog="Example: [bold]busbar subscription attempts payments/orders-done --status failed[/]"
)
def attempts(
    context: typer.Context,
    subscription: SubscriptionId,
    *,
    event: EventOption = None,
    status: Annotated[
        DeliveryStatus | None, typer.Option(help="Only deliveries with this status.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the attempts to deliver facts to a subscription, the newest delivery first.

    A delivery is retrying, delivered or failed. The outcome of an attempt is the status of the
    response, or why there was none. The numbers begin at 1 again when a delivery is resent.
    """
    subscription_id(subscription)

    async def body(client: Client) -> list[DeliveryView]:
        if event is not None:
            return [await client.delivery(subscription, event)]
        return [one async for one in client.deliveries(subscription, status=status)]

    found = call(options_of(context), body)
    deliveries = [one for one in found if status in {None, one.status}]
    if output is Output.JSON:
        print_json(deliveries)
        return
    if not deliveries:
        typer.echo("No deliveries found.")
        return
    rows = [
        (
            plain(one.event),
            plain(one.event_type),
            coloured(one.status),
            shown(attempt.time),
            number,
            plain(attempt.outcome),
            "" if attempt.seconds is None else f"{attempt.seconds:.2f}",
        )
        for one in deliveries
        for number, attempt in numbered(one.attempts)
    ]
    print_table(("event", "type", "delivery", "time", "attempt", "outcome", "seconds"), rows)
    for one in deliveries:
        if one.next_attempt is not None:
            due = f"{plain(one.event)}: the next attempt is due at {plain(one.next_attempt)}"
            console().print(due)


def numbered(attempts: Sequence[AttemptView]) -> Iterator[tuple[str, AttemptView]]:
    """Yield attempts with their numbers; those that begin again are marked as resent."""
    last = 0
    for one in attempts:
        is_resent = bool(last) and one.attempt <= last
        yield f"{one.attempt} (resent)" if is_resent else str(one.attempt), one
        last = one.attempt


@app.command("test", epilog="Example: [bold]busbar subscription test payments/orders-done[/]")
def send_test_event(
    context: typer.Context,
    subscription: SubscriptionId,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send a test event to a subscription's URL, once, and show the receiver's response.

    It is signed like any other; its type is busbar.notification.test-requested.v1. Exit codes: 0
    delivered, 3 no such subscription, 4 not delivered, 5 no result in time.
    """
    subscription_id(subscription)
    request(
        context,
        lambda client: client.send_test_event(subscription),
        wait=wait,
        timeout=timeout,
        output=output,
    )


@app.command(epilog="Example: [bold]busbar subscription resend payments/orders-done --since 2h[/]")
def resend(
    context: typer.Context,
    subscription: SubscriptionId,
    *,
    event: EventOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only what has failed since then: RFC 3339 with an offset, or 10m (s, m, h, d, w)."
        ),
    ] = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deliver facts again: all whose delivery has failed, or one by its id.

    They go to the subscription's present URL, signed with its present secret, under the same
    webhook-id, and have all their attempts once more. One request resends up to 500.
    """
    subscription_id(subscription)
    if event is not None and since is not None:
        raise usage("--event and --since exclude each other.", fix="Give one of them.")
    time = None if since is None else parse_time_argument(since, now=SystemClock().now())
    request(
        context,
        lambda client: client.resend(subscription, event=event, since=time),
        wait=wait,
        timeout=timeout,
        output=output,
    )

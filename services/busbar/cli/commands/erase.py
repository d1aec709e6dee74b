"""``busbar erase``."""

from typing import Annotated

import typer

from busbar.cli.shared.confirm import YesOption, confirm
from busbar.cli.shared.exits import usage
from busbar.cli.shared.files import standard_input
from busbar.cli.shared.options import EventIdOption, TimeoutOption, WaitOption
from busbar.cli.shared.output import Output, OutputOption
from busbar.cli.shared.request import request

EXAMPLES = ("busbar erase ann@example.com", "busbar erase - --yes < name.txt")

MAX_NAME_BYTES = 1024


def command(
    context: typer.Context,
    *,
    subject: Annotated[
        str,
        typer.Argument(
            help="The text that names the person in specs, such as an e-mail address; or the "
            "pseudonym, as in subject:6f1c0ad5c9d14be2a7d0f4c3b2a19587; - reads standard input."
        ),
    ],
    yes: YesOption = False,
    event_id: EventIdOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make the personal data of a person unreadable everywhere, for good.

    The key that the person's data are encrypted with is destroyed: no copy of them in events, dead
    letters or views can be read any more, and the proofs of the audit log stay valid. What backends
    have (a contact in the configuration of a topic) stays there: delete or change those resources
    before. Exit codes: 0 erased or nothing to erase, 3 denied, 5 no result in time.
    """
    if subject == "-":
        subject = standard_input().read(MAX_NAME_BYTES).decode(errors="replace").strip()
        if not subject:
            raise usage("The name on standard input is empty.", fix="Write it as one line.")
    confirm(f"Erase the personal data of {subject}? They can never be read again.", yes=yes)
    request(
        context,
        lambda client: client.erase_subject(subject, event_id=event_id),
        wait=wait,
        timeout=timeout,
        output=output,
    )

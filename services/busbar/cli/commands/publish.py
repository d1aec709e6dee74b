"""``busbar publish``."""

import asyncio
from typing import Annotated

import typer

from busbar.cli.shared.documents import events_of, read_documents
from busbar.cli.shared.exits import usage
from busbar.cli.shared.files import read_file
from busbar.cli.shared.kafka import Published, publish, signed_record
from busbar.cli.shared.options import EventIdOption, Options, options_of
from busbar.cli.shared.output import Output, OutputOption, errors, plain, print_json
from busbar.kernel.errors import ConfigurationError
from busbar.messages.signing import SigningKey
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.setting_values import check_brokers
from busbar.runtime.core.signing_key import load_signing_key

EXAMPLES = (
    "busbar publish -f orders.yaml --key ci.pem --source urn:team:payments",
    "busbar publish -f event.json --key ci.pem --bootstrap-server kafka:9092",
)


def command(
    context: typer.Context,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="A YAML or JSON file; - reads standard input.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            help="The CloudEvents source, one of the key's principal. A whole CloudEvent has its"
            " own."
        ),
    ] = None,
    event_id: EventIdOption = None,
    bootstrap_server: Annotated[
        str | None,
        typer.Option(
            help="Kafka brokers, as comma-separated host:port.",
            show_default="KAFKA_BOOTSTRAP_SERVERS",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Maximum time until Kafka has all of it, in seconds.")
    ] = 30,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sign the intents in a file and write them to Kafka, without the gateway.

    The key is in --key, BUSBAR_KEY_FILE, or that of --as or BUSBAR_PRINCIPAL in <home>/keys.

    The file is that of `busbar apply`. Nothing is written unless every document is valid. It needs
    no token, and does not wait for the result: each line names the record's place, the operation of
    the intent, and how to look at a refusal, which has the record's place as its operation.

    Publishing again under the same source and id is the same intent.

    Exit codes: 0 Kafka has all of it, 7 Kafka does not answer.
    """
    brokers = _brokers(context, bootstrap_server)
    signer = _signer(options_of(context))
    documents = read_documents(read_file(file), file="standard input" if file == "-" else file)
    if source is None and any("specversion" not in one.data for one in documents):
        raise usage(
            "A resource needs a source.",
            fix="Pass --source with a source that is declared for the key's principal.",
        )
    now = SystemClock().now()
    events = events_of(documents, source=source or "", event_id=event_id, time=now)
    records = [signed_record(event, signer) for event in events]
    done: list[Published] = []
    try:
        asyncio.run(publish(records, brokers, within=timeout, done=done))
    except BaseException:
        if len(events) > 1:
            errors().print(f"{len(done)} of {len(events)} documents were published.")
        raise
    finally:
        _show(done, output)


def _brokers(context: typer.Context, named: str | None) -> str:
    if named is None:
        return options_of(context).settings().bootstrap()
    try:
        check_brokers(named)
    except ValueError as error:
        raise usage(f"--bootstrap-server: {error}.", fix="Write it as in kafka:9092.") from error
    return named


def _signer(options: Options) -> SigningKey:
    path = options.key_of(options.principal or options.settings().principal)
    found = load_signing_key(path)
    if found is None:
        raise ConfigurationError(
            f"There is no key {path}.", fix="Make one: busbar keys create PRINCIPAL --file FILE"
        )
    return found


def _show(done: list[Published], output: Output) -> None:
    if output is Output.JSON:
        if done:
            shown = [one._asdict() for one in done]
            print_json(shown[0] if len(shown) == 1 else shown)
        return
    for one in done:
        typer.echo(f"{plain(one.about)}  {one.record}")
        typer.echo(f"  operation {one.operation}")
        typer.echo(f"  if it is refused: busbar operation {one.record}")

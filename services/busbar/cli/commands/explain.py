"""``busbar explain``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from busbar.cli.shared.connect import call
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.fields import FieldView, UnknownFieldError, fields_of
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import Output, OutputOption, console, plain, print_json
from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.http import PromiseVersionView, PromiseView
from busbar.policy.domain.schema import with_defaults

EXAMPLES = (
    "busbar explain event-stream",
    "busbar explain event-stream.dead_letters.replicas",
)


def command(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            help="A promise, or a field of it: event-stream.partitions.", metavar="NAME"
        ),
    ],
    version: Annotated[
        str | None, typer.Option(help="The version to explain.", show_default="the newest")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Explain a promise: what can be requested, with types, defaults, limits and an example.

    The example can be applied as it is. `busbar get promises` lists the promises.
    """
    name, *path = what.split(".")
    promises = call(options_of(context), lambda client: client.promises())
    promise = _promise(name, {one.name: one for one in promises})
    shown = _version(promise, version)
    try:
        fields = fields_of(shown.spec, path)
    except UnknownFieldError as error:
        raise CommandError(f"{error}.", fix=error.fix, code=ExitCode.NOT_FOUND) from error
    if output is Output.JSON:
        about = promise.model_dump(mode="json", exclude={"versions", "problem"})
        details = shown.model_dump(mode="json")
        print_json({**about, **details, "fields": [asdict(field) for field in fields]})
        return
    if not path:
        _print_heading(promise, shown)
    for field in fields:
        _print_field(field, alone=bool(path) and field is fields[0])
    if not path:
        _print_example(promise, shown)


def _promise(name: str, known: dict[str, PromiseView]) -> PromiseView:
    offered = [one.name for one in known.values() if not one.problem]
    if name not in known:
        fix = did_you_mean(name, offered, otherwise=f"Offered are: {listed(offered)}")
        problem = f"There is no promise {name}."
        raise CommandError(problem, fix=fix, code=ExitCode.NOT_FOUND)
    if known[name].problem:
        raise CommandError(
            f"{name} is not offered: {known[name].problem}.",
            fix="Correct the file, check it with `busbar promises check`, then restart policy.",
            code=ExitCode.CONFIGURATION,
        )
    return known[name]


def _version(promise: PromiseView, wanted: str | None) -> PromiseVersionView:
    by_name = {one.version: one for one in promise.versions}
    if wanted is None:
        return promise.versions[-1]
    if wanted not in by_name:
        raise CommandError(
            f"{promise.name} has no version {wanted}.",
            fix=f"Its versions are: {listed(list(by_name))}",
            code=ExitCode.NOT_FOUND,
        )
    return by_name[wanted]


def _print_heading(promise: PromiseView, version: PromiseVersionView) -> None:
    out = console()
    others = [one.version for one in promise.versions if one is not version]
    also = f" (also {', '.join(others)})" if others else ""
    out.print(f"[bold]{plain(promise.name)}[/] {plain(version.version)}{plain(also)}")
    out.print(plain(promise.title))
    for line in promise.description.strip().splitlines():
        out.print(f"  {plain(line)}")
    out.print(f"Owner: {plain(promise.owner)}")
    if version.outputs:
        out.print(f"Outputs: {plain(', '.join(version.outputs))}")
    out.print("\n[bold]Fields of spec[/]" if version.spec.get("properties") else "")


def _print_field(field: FieldView, *, alone: bool) -> None:
    out = console()
    notes = [field.type, *field.limits]
    if field.default is not None:
        notes.append(f"default {field.default}")
    elif field.required:
        notes.append("required")
    out.print(f"  [bold]{plain(field.path)}[/]  {plain(', '.join(notes))}")
    if alone and field.title:
        out.print(f"    {plain(field.title)}")
    for line in field.description.splitlines():
        out.print(f"    {plain(line)}")


def _print_example(promise: PromiseView, version: PromiseVersionView) -> None:
    out = console()
    first = version.examples[0] if version.examples else None
    spec = with_defaults(version.spec, version.spec, first.spec if first else {})
    missing = [name for name in version.spec.get("required", ()) if name not in spec]
    title = first.title if first else "The defaults"
    if missing:
        title += f"; add the required {', '.join(missing)}"
    out.print("\n[bold]Example[/], for `busbar apply -f FILE`\n")
    typer.echo(f"# {title}")
    typer.echo("team: payments\nenvironment: dev")
    typer.echo(f"promise: {promise.name}\nname: example\nversion: {version.version}")
    # JSON is YAML, and every value keeps its type.
    typer.echo(f"spec: {json.dumps(spec, ensure_ascii=False)}")

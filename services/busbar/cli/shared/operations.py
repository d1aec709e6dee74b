"""Operations as people see them."""

import re
from typing import Final

from busbar.cli.shared.output import as_text, coloured, console, plain
from busbar.messages.request_views import COULD_NOT_HANDLE
from busbar.messages.views import OperationView

_ONE: Final = re.compile(r"^1 deliveries are")
"""Details of views keep the words that histories were recorded with."""


def title_of(view: OperationView) -> str:
    """Return what an operation is about: a resource, a subscription, a dead letter."""
    return view.resource or view.about or str(view.intent.get("type", ""))


def progress_of(view: OperationView) -> str:
    """Return the steps of an operation that has not ended, with what went wrong, on one line."""
    steps = [
        f"{step.name} {step.status}" + (f": {step.detail}" if step.status == "failed" else "")
        for step in view.steps
    ]
    return ", ".join([*steps, view.detail] if view.detail else steps)


def summary_of(view: OperationView) -> str:
    """Return what a list says about an operation: why it ended, or what holds it up."""
    if view.reason or view.detail:
        return view.reason or view.detail
    failed = [f"{one.name}: {one.detail}" for one in view.steps if one.status == "failed"]
    return "" if view.ended else ", ".join(failed)


def _what_is_left(view: OperationView) -> str:
    """Return a sentence about the step that failed, and about what the others left."""
    failed = [f"{step.name} ({step.adapter})" for step in view.steps if step.status == "failed"]
    undone = [step.name for step in view.steps if step.status == "undone"]
    left = [step.name for step in view.steps if step.status not in {"failed", "undone"}]
    parts = [
        f"failed at step {', '.join(failed)}" if failed else "",
        f"undone: {', '.join(undone)}" if undone else "",
        f"left as it is: {', '.join(left)}" if left else "nothing new is left",
    ]
    return "; ".join(part for part in parts if part)


def print_operation(view: OperationView) -> None:
    """Print the result of an operation, with violations and their fixes."""
    out = console()
    title = title_of(view) or "operation"
    detail = _ONE.sub("1 delivery is", view.detail.removesuffix(f"; {view.fix}") or view.reason)
    out.print(f"{coloured(view.status)}  {plain(title)}" + (f"  {plain(detail)}" if detail else ""))
    if view.status == "failed" and view.steps:
        out.print(f"  {plain(_what_is_left(view))}")
    for step in view.steps:
        out.print(f"  step {plain(step.name)}: {plain(step.status)} {plain(step.detail)}".rstrip())
    for kind, found in (("", view.violations), ("warning ", view.warnings)):
        for violation in found:
            out.print(f"  {kind}{plain(violation.get('rule'))}: {plain(violation.get('message'))}")
            out.print(f"    fix: {plain(violation.get('fix'))}")
    if view.fix:
        out.print(f"    fix: {plain(view.fix)}")
    for name, value in view.outputs.items():
        out.print(f"  {plain(name)}: {plain(as_text(value))}")
    if view.dead_letter:
        out.print(f"  dead letter {plain(view.dead_letter)}")
    out.print(f"  operation {plain(view.id)}")
    if view.status == "stuck":
        out.print(f"[bold]fix:[/] {plain(_way_out(view))}")


def _way_out(view: OperationView) -> str:
    """Return what a person can do about an operation that is stuck."""
    if COULD_NOT_HANDLE in view.detail:
        return "`busbar dead-letters list` shows the record; redrive or discard it."
    return (
        f"Remove the obstacle, then run `busbar operation retry {view.id}`, or end it with"
        f" `busbar operation abandon {view.id}`. `busbar why {view.id}` explains it."
    )

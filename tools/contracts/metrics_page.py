"""``docs/metrics.md``: every metric, generated from its definition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from busbar.runtime.telemetry.metrics import DEFINITIONS, LABELS, LONG, SHORT, Definition

PATH: Final = Path("docs") / "metrics.md"

_PARTS: Final = {
    "consumer": "What a service reads from the bus.",
    "relay": "What a service publishes.",
    "store": "The database of a service.",
    "tasks": "Durable work: sagas, webhooks, parked sequences that are tried again.",
    "policy": "The service that decides about intents.",
    "provisioner": "The service that acts on the world.",
    "notifier": "The service that delivers webhooks.",
    "gateway": "The service that answers HTTP.",
}

_HEAD: Final = """\
# Metrics

Every process of the platform gives these at `/metrics`, in the text format of Prometheus, on the
port where it answers `/healthz`; `BUSBAR_METRICS=false` turns that off. How to collect them, and
what to look at first: [See what it does](how-to/see-what-it-does.md). Why they are named like this:
[ADR 16](adr/0016-telemetry.md).

Beside them there are the usual `process_…` metrics: memory, CPU time, open files. This page is
generated from `services/busbar/runtime/telemetry/metrics.py` by `make generate`.
"""


def text() -> str:
    """The page."""
    return "\n".join((_HEAD, *_labels(), *_parts(), *_buckets())) + "\n"


def _labels() -> Iterator[str]:
    yield "## Labels"
    yield ""
    yield "No label ever holds an id, the name of a resource, or anything else without a bound."
    yield ""
    yield "| label | holds |"
    yield "|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in LABELS.items())
    yield ""


def _parts() -> Iterator[str]:
    for part, about in _PARTS.items():
        yield f"## {part}"
        yield ""
        yield about
        yield ""
        yield "| metric | type | labels | meaning |"
        yield "|---|---|---|---|"
        yield from (_row(one) for one in DEFINITIONS if one.name.startswith(f"busbar_{part}_"))
        yield ""


def _row(one: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels) or "none"
    kind = one.type
    if one.buckets:
        kind += ", short" if one.buckets == SHORT else ", long"
    return f"| `{one.name}` | {kind} | {labels} | {one.help} |"


def _buckets() -> Iterator[str]:
    yield "## Buckets"
    yield ""
    yield "Upper edges in seconds; 0.06 and 0.25 are what the platform promises (p50 and p99)."
    yield ""
    for name, edges in (("short", SHORT), ("long", LONG)):
        yield f"- {name}: {', '.join(f'{edge:g}' for edge in edges)}"

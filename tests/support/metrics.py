"""Metrics as a scrape returns them and as docs/metrics.md documents them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client.parser import (
    text_string_to_metric_families,
)

from busbar.runtime.telemetry.metrics import REGISTRY

_ROW = re.compile(r"^\| `(?P<name>busbar_\w+)` \| [^|]+ \| (?P<labels>[^|]*) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a scrape. ``metric`` is the name without what a histogram appends to it."""

    metric: str
    name: str
    labels: dict[str, str]
    value: float


def counted(name: str, **labels: str) -> float:
    """The value of a sample of this process; 0 if there is none."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def samples(text: str) -> Iterator[Sample]:
    """The samples of a scrape."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            metric = f"{family.name}_total" if family.type == "counter" else family.name
            yield Sample(metric, sample.name, dict(sample.labels), sample.value)


def documented(page: str) -> dict[str, frozenset[str]]:
    """The metrics that ``docs/metrics.md`` lists, each with its labels."""
    return {
        match["name"]: frozenset(re.findall(r"`(\w+)`", match["labels"]))
        for match in _ROW.finditer(page)
    }


def undocumented(text: str, page: str) -> list[str]:
    """Return the samples of a scrape that the page does not list, or lists otherwise."""
    known = documented(page)
    return sorted(
        {
            f"{sample.metric}{sorted(sample.labels.keys() - {'le'})}"
            for sample in samples(text)
            if sample.name.startswith("busbar_")
            and known.get(sample.metric) != frozenset(sample.labels) - {"le"}
        }
    )


@contextmanager
def counting(name: str, label: str, service: str = "policy") -> Iterator[dict[str, float]]:
    """By how much the samples of ``name`` grow during the block, by ``label``."""
    found: dict[str, float] = {}
    known = {
        "outcome": ("handled", "repeated", "skipped", "parked", "waiting", "dead_lettered"),
        "reason": ("conflict", "handler", "store_unreachable"),
    }[label]
    before = {value: counted(name, service=service, **{label: value}) for value in known}
    yield found
    for value in known:
        grown = counted(name, service=service, **{label: value}) - before[value]
        if grown:
            found[value] = grown

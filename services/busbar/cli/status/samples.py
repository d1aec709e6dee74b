"""Reads what ``/metrics`` answers: the text format of Prometheus, as far as it is needed here.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"')
_LINE = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)"
    r'(?:\{(?P<labels>(?:\w+="(?:[^"\\]|\\.)*",?)*)\})?'
    r"\s+(?P<value>\S+)(?:\s+\d+)?"
)
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One number."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Samples:
    """What one process told of itself at one moment."""

    found: tuple[Sample, ...]

    def values(self, name: str, **labels: str) -> list[float]:
        """The values called ``name`` that have these ``labels``, and perhaps others."""
        return [
            one.value
            for one in self.found
            if one.name == name and labels.items() <= one.labels.items()
        ]

    def total(self, name: str, **labels: str) -> float | None:
        """Their sum; None if there is none."""
        values = self.values(name, **labels)
        return sum(values) if values else None

    def largest(self, name: str, **labels: str) -> float | None:
        """The largest of them; None if there is none."""
        return max(self.values(name, **labels), default=None)

    def total_by(self, label: str, name: str) -> dict[str, float]:
        """The sums of the values called ``name``, by what they have as ``label``."""
        sums: dict[str, float] = {}
        for one in self.found:
            if one.name == name and label in one.labels:
                sums[one.labels[label]] = sums.get(one.labels[label], 0.0) + one.value
        return sums


def parse(text: str) -> Samples:
    """The samples in ``text``; lines that are none are passed over."""
    return Samples(tuple(_samples(text)))


def _samples(text: str) -> Iterator[Sample]:
    for line in text.split("\n"):  # and at no other of the ends that Unicode has
        found = None if line.startswith("#") else _LINE.fullmatch(line.strip())
        if found is None:
            continue
        try:
            value = float(found["value"])
        except ValueError:
            continue
        labels = {
            label["name"]: _unescaped(label["value"])
            for label in _LABEL.finditer(found["labels"] or "")
        }
        yield Sample(found["name"], labels, value)


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), value)

"""The samples that a process answers on ``/metrics``."""

import http.client
import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from busbar.cli.local.ready import WrongProgram


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one scrape of one process."""

    found: tuple[Sample, ...]

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of the metric ``name`` that have these ``labels``, among others.

        A value that is not a number is not known now, and left out.
        """
        return [
            one.value
            for one in self.found
            if one.name == name
            and labels.items() <= one.labels.items()
            and not math.isnan(one.value)
        ]

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum of the values; None if there are none."""
        values = self.values(name, **labels)
        return sum(values) if values else None

    def largest(self, name: str, **labels: str) -> float | None:
        """Return the largest of the values; None if there are none."""
        return max(self.values(name, **labels), default=None)

    def total_by(self, label: str, name: str) -> dict[str, float]:
        """Return the sum of the values of the metric ``name`` for each value of ``label``."""
        sums: dict[str, float] = {}
        for one in self.found:
            if one.name == name and label in one.labels:
                sums[one.labels[label]] = sums.get(one.labels[label], 0.0) + one.value
        return sums


def read_samples(connection: http.client.HTTPConnection) -> Samples | None:
    """Return the samples of the process at ``connection``; None if it exposes no metrics.

    Raises:
        OSError: there is no answer.
        WrongProgram: the answer is not that of a process of the platform.
    """
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode("utf-8", "replace")
    if response.status != http.client.OK:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise WrongProgram from error


def parse(text: str) -> Samples:
    """Parse the text format of Prometheus.

    Raises:
        ValueError: it is something else.
    """
    return Samples(
        tuple(
            Sample(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )
    )

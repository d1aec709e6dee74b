"""Metrics are made in one place, named alike, and documented."""

import ast
import re

import pytest

from busbar.messages.topics import SERVICES
from busbar.runtime.telemetry.metrics import LABELS, Definition
from meta.checkout import PACKAGE, ROOT, below, place, text, tree
from support.metrics import documented
from tools.contracts.metrics_page import definitions

DEFINITIONS = definitions()
PAGE = ROOT / "docs" / "metrics.md"
PARTS = ("consumer", "relay", "store", "tasks")
NAME = re.compile(rf"busbar_({'|'.join((*PARTS, *SERVICES))})(_[a-z]+)+")
IDS = re.compile(r"(^|_)(id|name|key|event|intent|operation|resource|url|subscription|team)$")


def imported(module: ast.AST) -> set[str]:
    """The modules that a module imports, or imports something from."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_only_one_module_makes_metrics() -> None:
    makers = [
        place(path)
        for path in below("services", "tools", suffix=".py")
        if any(
            name.partition(".")[0] == "prometheus_client" and name != "prometheus_client.parser"
            for name in imported(tree(path))
        )
    ]
    assert makers == [place(PACKAGE / "runtime" / "telemetry" / "metrics.py")]


def test_a_service_defines_its_metrics_in_its_telemetry() -> None:
    for one in DEFINITIONS:
        part = one.name.split("_")[1]
        owner = "runtime/telemetry/metrics.py" if part in PARTS else f"{part}/telemetry.py"
        assert f'"{one.name}"' in text(PACKAGE / owner)


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.name)
def test_a_metric_is_named_after_its_part_and_unit(one: Definition) -> None:
    assert NAME.fullmatch(one.name)
    assert one.name.endswith("_total") == (one.type == "counter")
    assert one.name.endswith("_seconds") or one.type != "histogram"


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.name)
def test_what_every_service_has_says_which_service_it_is(one: Definition) -> None:
    assert ("service" in one.labels) == (one.name.split("_")[1] in PARTS)


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.name)
def test_labels_are_bounded_and_explained(one: Definition) -> None:
    assert set(one.labels) <= LABELS.keys()
    assert [label for label in one.labels if IDS.search(label)] == []


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.name)
def test_a_metric_says_in_sentences_what_it_means(one: Definition) -> None:
    assert one.help.endswith(".")
    assert "|" not in one.help


def test_the_page_lists_every_metric_and_no_other() -> None:
    assert documented(text(PAGE)) == {one.name: frozenset(one.labels) for one in DEFINITIONS}


def test_durations_have_edges_at_what_the_platform_promises() -> None:
    missing = [
        one.name for one in DEFINITIONS if one.buckets and not {0.06, 0.25} <= {*one.buckets}
    ]
    assert missing == []

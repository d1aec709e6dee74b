"""Benchmarks use the same messages as services."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from bench import growth, profiles, rows, work
from bench.growth import Point
from bench.svg import Panel, plot
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.resource import ApplyResource
from busbar.policy.adapters import load_promises
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.store.sql.statements import EVENT_COLUMNS


def test_the_promise_that_makes_nothing_is_in_order() -> None:
    promises = load_promises((work.PROMISES,))
    assert (set(promises.offered), dict(promises.broken)) == ({work.PROMISE}, {})


def test_an_intent_is_one_that_policy_reads() -> None:
    out = work.intent(7, "burst")
    found = encoding.read(Record(out.topic, 0, 0, 0, out.key, out.value, list(out.headers)))
    assert ApplyResource.model_validate(getattr(found, "data", None)).name == "burst-7"


def test_a_transaction_has_500_events_that_fit_to_those_before() -> None:
    versions: Counter[str] = Counter()
    ids: set[str] = set()
    shares = []
    for parts in rows.transactions(3, "test"):
        found = [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in rows.raw(parts, service="p")]
        shares.append((len(found), len({row["stream"] for row in found} & versions.keys())))
        for row in found:
            versions[str(row["stream"])] += 1
            assert row["version"] == versions[str(row["stream"])]
            ids.add(str(row["id"]))
            BY_TYPE[str(row["type"])].model_validate_json(str(row["data"]))
    assert shares == [(500, 0), (500, 50), (500, 50)]
    assert len(ids) == 1500


def test_a_plot_is_an_svg_with_a_place_for_every_value() -> None:
    drawn = ET.fromstring(plot([Panel("a & b", ["1", "2"], [0.5, 2.0])], what="ms"))  # noqa: S314 - our own text
    assert len(drawn.findall(".//{*}circle")) == 2


def test_the_page_about_growth_has_a_line_for_every_point(tmp_path: Path) -> None:
    point = Point(of="teams", amount=1000, rate=50, raw=100, services_ms=1.5, database_ms=0.25)
    growth.write([point], tmp_path / "growth.md")
    page = (tmp_path / "growth.md").read_text(encoding="utf-8")
    assert "| 1,000 teams | 50 | 100 | 0.500 | 1.50 | 0.25 | 1.75 |" in page
    assert (tmp_path / "growth.svg").exists()


def test_a_profile_names_the_function_with_the_most_time_of_its_own_first(tmp_path: Path) -> None:
    sampler = profiles.Sampler()
    sampler.own.update({"busbar/a.py:1 rare": 1, "json.py:1 often": 3})
    sampler.total.update({"busbar/a.py:1 rare": 4, "json.py:1 often": 3})
    profiles.keep(sampler, tmp_path / "policy.json")
    lines = profiles.Profiles(tmp_path).tables()["policy"].splitlines()
    assert [line.split()[:2] + line.split()[-1:] for line in lines[1:3]] == [
        ["75.0", "75.0", "often"],
        ["25.0", "100.0", "rare"],
    ]
    assert [line.split()[-1] for line in lines[4:]] == ["rare"]

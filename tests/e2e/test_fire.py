"""Short fault scenarios for every day; the long ones are behind `make faults`."""

import pytest

from faults.fire.kills import kill_nine
from faults.fire.older import side_by_side
from faults.fire.run import scenario

pytestmark = pytest.mark.timeout(600)


def test_services_in_two_instances_are_killed_and_nothing_is_lost_doubled_leaked_or_stuck() -> None:
    row = scenario("kill-9", kill_nine(5), streams=4, databases=2)(7)
    assert row.process_kills == 5
    assert row.held, row


def test_the_release_before_works_beside_this_one_on_the_new_schema_without_loss() -> None:
    row = scenario("old-and-new", side_by_side(40), instances=1, streams=4, databases=0)(7)
    assert row.held, row

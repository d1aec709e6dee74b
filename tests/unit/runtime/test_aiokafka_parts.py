"""What busbar has aiokafka do otherwise."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from busbar.runtime.aiokafka_parts import partition_of


@given(keys=st.lists(st.binary(max_size=40), min_size=1), count=st.integers(1, 24))
def test_a_key_has_the_partition_that_other_clients_would_choose(
    keys: list[bytes], count: int
) -> None:
    partitions = list(range(count))
    for key in (*keys, *keys):
        assert partition_of(key, partitions, partitions) == DefaultPartitioner()(
            key, partitions, partitions
        )


def test_a_record_without_a_key_goes_to_a_partition_that_has_a_leader() -> None:
    assert {partition_of(None, [0, 1, 2, 3], [1, 3]) for _ in range(200)} == {1, 3}

"""A service that can leave an operation waiting for a dead letter ends it at a discard."""

import pytest

from busbar.messages.topics import SERVICES
from tools.contracts.services import declared


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_an_operation_waits_for_says_what_a_discard_means(name: str) -> None:
    service = declared(name)
    is_waited_for = bool(service.requests or service.executes or service.authenticator)
    assert (service.discard_handler is not None) == is_waited_for

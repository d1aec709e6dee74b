"""No part of the URL of the services' database is in an error, or behind one."""

import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import StoreUnavailable
from busbar.runtime.store.engines.postgres import open_postgres
from support.postgres import free_port
from support.postgres_store import StoreCluster

WRONG: dict[str, Callable[[str], str]] = {
    "role": lambda url: url.replace(f"//{urlsplit(url).username}", "//zqroleqz"),
    "password": lambda url: url.replace(f":{urlsplit(url).password}@", ":zqpasswordqz@"),
    "encoding": lambda url: url.replace(f":{urlsplit(url).password}@", ":zqone@zqtwo#zqthree@"),
    "brackets": lambda url: url.replace(f":{urlsplit(url).password}@", ":[zqone@[zqtwo@"),
    "database": lambda url: url.rpartition("/")[0] + "/zqdatabaseqz",
    "host": lambda url: url.replace("127.0.0.1", "zqhostqz.invalid"),
    "port": lambda url: url.replace(f":{urlsplit(url).port}/", f":{free_port()}/"),
    "port text": lambda url: url.replace(f":{urlsplit(url).port}/", ":zqportqz/"),
    "option": lambda url: url + "?sslmode=zqmodeqz",
    "setting": lambda url: url + "?zqsettingqz=zqvalueqz",
    "file": lambda url: url + "?sslmode=verify-ca&sslrootcert=/zqfileqz",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_url_that_cannot_be_used_is_not_quoted(
    cluster: StoreCluster, wrong: Callable[[str], str]
) -> None:
    url = wrong(cluster.url)
    with pytest.raises((ConfigurationError, StoreUnavailable)) as raised:
        await open_postgres(url, service="policy", clock=SystemClock())
    said = "".join(traceback.format_exception(raised.value))
    assert "zq" not in said
    assert "127.0.0.1" not in said
    assert repr(raised.value.__context__ or raised.value.__cause__) == "None"

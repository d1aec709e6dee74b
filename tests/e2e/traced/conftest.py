"""The platform of real processes, which send their spans to a collector."""

from collections.abc import Iterator

import pytest

from busbar.cli.local import Platform
from busbar.runtime.core.settings import load_settings
from support.otlp import Collector, collecting
from support.platforms import accepting_unsigned, running


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Takes what the platform sends."""
    with collecting() as found:
        yield found


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    """One for the tests of this folder; spans are sent immediately."""
    bootstrap = load_settings().kafka_bootstrap_servers
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUSBAR_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        home = tmp_path_factory.mktemp("home")
        made = Platform(home, bootstrap=bootstrap, services=accepting_unsigned)
        with running(made) as found:
            yield found

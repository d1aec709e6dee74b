"""Every measurement, by the figures that it gives."""

from collections.abc import Mapping

from bench import (
    end_to_end,
    engine_noop,
    latency,
    looking_back,
    memory,
    pipeline,
    saga,
    signing,
    store_append,
    store_replay,
    telemetry_cost,
)
from bench.run import Measure

MEASUREMENTS: Mapping[tuple[str, ...], Measure] = {
    ("engine-noop",): engine_noop.measure,
    ("store-append-postgres",): store_append.measure_postgres,
    ("store-append-sqlite",): store_append.measure_sqlite,
    ("store-replay-postgres",): store_replay.measure_postgres,
    ("store-replay-sqlite",): store_replay.measure_sqlite,
    ("end-to-end-postgres",): end_to_end.measure_postgres,
    ("end-to-end-sqlite",): end_to_end.measure_sqlite,
    ("end-to-end-signed",): end_to_end.measure_signed,
    ("pipeline-bare",): pipeline.measure,
    ("latency-p50", "latency-p99"): latency.measure,
    ("saga-bare",): saga.measure,
    ("telemetry-cost",): telemetry_cost.measure,
    ("sign-intent",): signing.measure_sign,
    ("verify-intent",): signing.measure_verify,
    ("rss-service", "rss-platform"): memory.measure_rest,
    ("replay-1m-memory",): memory.measure_replay,
    ("replay-100k", "why-of-10000"): looking_back.measure,
    ("audit-memory",): looking_back.measure_memory,
}
"""In the order in which they are taken."""

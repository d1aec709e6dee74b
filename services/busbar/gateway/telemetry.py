"""Metrics of the gateway."""

from typing import Final

from busbar.runtime.telemetry.metrics import LONG, counter, describe_labels, histogram

describe_labels(
    method="the HTTP method; `other` if it is not a common one",
    route="the route as declared, as `/v1/operations/{operation}`; `none` if no route matched",
    status="the HTTP status",
)

REQUESTS: Final = counter(
    "busbar_gateway_requests_total", "HTTP requests answered.", *("method", "route", "status")
)
REQUEST_SECONDS: Final = histogram(
    "busbar_gateway_request_seconds",
    "Duration of an HTTP request; a request with `wait` lasts until there is a change.",
    "route",
    buckets=LONG,
)

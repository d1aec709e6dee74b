"""``sign-intent``, ``verify-intent``: signatures of intents, beside those of the bare library.

CPU time of one record in microseconds, so the least is the best and a ratio is above 1.
"""

from collections.abc import Callable
from contextlib import nullcontext
from time import process_time
from typing import Any, Final

from bench.report import Row
from bench.run import Run, Side, beside
from bench.work import intent
from busbar.messages.signing import SigningKey, sign, signature_of, signed_bytes, verify

VALUE_BYTES: Final = 1_000
LIBRARY: Final = "cryptography"
_MICRO: Final = 1e6


async def measure_sign(run: Run) -> list[Row]:
    """Measure the signing of an intent of 1 kB, beside the library's signing of the same bytes."""
    key, record = SigningKey.generate(), _record()
    message = _message(key, record)
    bare = key._key
    count = _count(run)
    ours = _side(lambda: sign(key, **record), count=count, run=run)
    limit = _side(lambda: bare.sign(message), count=count)
    return [await beside(run, "sign-intent", "µs", ours=ours, limit=limit, called=LIBRARY)]


async def measure_verify(run: Run) -> list[Row]:
    """Measure the reading and verifying of a signature, beside the library's verifying."""
    key, record = SigningKey.generate(), _record()
    message = _message(key, record)
    header = sign(key, **record)
    signed = {**record, "headers": [*record["headers"], header]}
    signature, bare = signature_of([header]).value, key.public._verifier
    count = _count(run)
    ours = _side(
        lambda: verify(key.public, signature_of(signed["headers"]), **signed), count=count, run=run
    )
    limit = _side(lambda: bare.verify(signature, message), count=count)
    return [await beside(run, "verify-intent", "µs", ours=ours, limit=limit, called=LIBRARY)]


def _count(run: Run) -> int:
    return run.size(5_000, quick=200)


def _record() -> dict[str, Any]:
    """An intent; its value is filled up, since only its size counts."""
    found = intent(1, "signing")
    value = (found.value or b"").ljust(VALUE_BYTES)
    headers = list(found.headers)
    return {"topic": found.topic, "record_key": found.key, "headers": headers, "value": value}


def _message(key: SigningKey, record: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in record.items() if name != "record_key"}
    return signed_bytes(key=record["record_key"], key_id=key.public.id, **rest)


def _side(work: Callable[[], object], *, count: int, run: Run | None = None) -> Side:
    """Return a side that does ``work``; it is profiled by ``run`` if it is given."""

    async def turn() -> float:
        async with run.own_side() if run else nullcontext():
            begun = process_time()
            for _ in range(count):
                work()
            return _MICRO * (process_time() - begun) / count

    return turn

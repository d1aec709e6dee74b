"""Programs in Go and TypeScript verify the vectors, and sign a record that the product verifies.

Each says what it thinks of every key and record of ``contracts/signing-vectors.json``, which it
gets without the outcomes that are wanted. ``make interop`` runs this before the producers.
"""

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from busbar.messages.signing import BadSignature, Signature, SigningKey, verify
from interop.programs import InteropError, Program, check_tools
from support.signing_vectors import ACCEPTED, INVALID_KEY, Vector, document, vectors

WANTED: Final = frozenset({"refusal", "signed_bytes", "id"})
"""What the programs do not see."""

VERIFIERS: Final = (
    Program(
        "signing/go",
        tools={"go": "golang-go"},
        copied=("go.mod", "main.go"),
        build=[["go", "vet", "."], ["go", "build", "-o", "verify", "."]],
        run=["./verify"],
    ),
    Program(
        "signing/typescript",
        tools={"node": "nodejs", "npm": "npm"},
        copied=("package.json", "package-lock.json", "tsconfig.json", "verify.ts"),
        build=[
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            ["node_modules/.bin/tsc"],
        ],
        run=["node", "verify.js"],
    ),
)


def problems_with(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield each key and record on which ``answer`` differs from the vectors."""
    keys = document()["keys"]
    wanted = {one["name"]: one.get("id", INVALID_KEY) for one in keys["accepted"] + keys["refused"]}
    yield from _differences("key", wanted, answer["keys"])
    records = vectors()
    yield from _differences("record", {one.name: one.wanted for one in records}, answer["records"])
    signed = {one.name: (one.signed_bytes or b"").hex() for one in records if _is_good(one)}
    yield from _differences("signed bytes of", signed, answer["signed_bytes"])


def _differences(what: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in [*wanted, *(found.keys() - wanted.keys())]:
        if wanted.get(name) != found.get(name):
            yield f"{what} {name!r}: {wanted.get(name)} is wanted, not {found.get(name)}"


def _is_good(one: Vector) -> bool:
    return one.wanted == ACCEPTED


def problem_with_signature(seed: bytes, record: Mapping[str, Any], text: str) -> str | None:
    """Return why ``text`` is not the signature of ``record`` by the key of ``seed``, or None."""
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    try:
        verify(
            key.public,
            Signature.parse(text.encode()),
            topic=record["topic"],
            record_key=bytes.fromhex(record["key"]),
            headers=[(name, bytes.fromhex(value)) for name, value in record["headers"]],
            value=bytes.fromhex(record["value"]),
        )
    except BadSignature as error:
        return f"the signature that it made: {error}"
    return None


def record_to_sign() -> dict[str, Any]:
    """Return a record that no program has seen before."""
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": secrets.token_hex(4).encode(),
        "ce_source": b"urn:x",
        "content-type": b"application/json",
        "ce_note": "gr\u00fc\u00df dich".encode(),
        "ce_type": b"busbar.resource.apply.v1",
        "ce_traceparent": b"not signed",
    }
    return {
        "topic": "busbar.intents.resource",
        "key": secrets.token_bytes(8).hex(),
        "headers": [[name, value.hex()] for name, value in headers.items()],
        "value": secrets.token_bytes(100).hex(),
    }


def without_outcomes(value: Any) -> Any:
    """Return a part of the vectors without what is wanted."""
    if isinstance(value, dict):
        return {n: without_outcomes(one) for n, one in value.items() if n not in WANTED}
    return [without_outcomes(one) for one in value] if isinstance(value, list) else value


def check(program: Program, file: Path) -> list[str]:
    """Run ``program`` on the vectors in ``file``, and return its problems.

    Raises:
        InteropError: it failed.
    """
    seed, record = secrets.token_bytes(32), record_to_sign()
    said = program.answer(json.dumps({"seed": seed.hex(), "record": record}), str(file))
    try:
        answer = json.loads(said)
        problems = list(problems_with(answer))
        signature = problem_with_signature(seed, record, answer["signature"])
    except (ValueError, KeyError) as error:
        raise InteropError(f"{program.name} did not print its outcomes: {said[:500]!r}") from error
    return problems + ([signature] if signature else [])


def main() -> int:
    """Build the programs, run them, and return the exit code."""
    count = 0
    try:
        check_tools(VERIFIERS)
        for program in VERIFIERS:
            program.prepare()
            file = program.folder / "vectors.json"
            file.write_text(json.dumps(without_outcomes(document())), encoding="utf-8")
            found = check(program, file)
            count += len(found)
            for problem in found:
                sys.stderr.write(f"{program.name}: {problem}\n")
            sys.stdout.write(f"{program.name}: {len(vectors())} records, {len(found)} problems\n")
    except InteropError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

"""``make clients-check``: every generator reads ``contracts/openapi.json`` without a warning."""

import json
import sys
from pathlib import Path

from tools.clients.check import FailedError, operation_ids
from tools.clients.generators import GENERATORS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "contracts" / "openapi.json"
BUILD = ROOT / "build" / "clients"


def main() -> int:
    """Run every generator; return 0 if all of them made a whole client."""
    wanted = operation_ids(json.loads(DOCUMENT.read_text(encoding="utf-8")))
    failed = 0
    for name, generate in GENERATORS.items():
        try:
            generate(ROOT, BUILD, wanted)
        except FailedError as error:
            failed += 1
            sys.stderr.write(f"{name}: {error}\n")
        else:
            sys.stdout.write(f"{name}: a client with {len(wanted)} operations, which compiles\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

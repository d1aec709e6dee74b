"""``python -m bench.sampled FILE COMMAND…``: ``busbar COMMAND…`` under the sampling profiler.

SIGUSR2 switches it on and off; what it has counted is in FILE when the process has ended.
"""

import asyncio
import signal
import sys
from pathlib import Path

from bench.profiles import Sampler, keep
from busbar.cli.app import main


def run(place: Path, command: list[str]) -> None:
    """Run the command until it ends."""
    sampler = Sampler()

    def switch(*_: object) -> None:
        if sampler.on:
            sampler.stop()
        else:
            sampler.start()

    signal.signal(signal.SIGUSR2, switch)
    sys.argv = ["busbar", *command]
    try:
        main()
    except asyncio.CancelledError:
        return
    finally:
        sampler.stop()
        keep(sampler, place)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])

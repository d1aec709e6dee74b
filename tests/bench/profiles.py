"""A sampling profiler: where the processor's time goes, in this process and in those it starts.

A timer that counts processor time interrupts the program every few milliseconds and notes what it
is at. Unlike a tracing profiler it costs functions the same whether they are called once or often.
Time in compiled code (a driver, the event loop) counts for the Python function that called it.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.002
TOP = 40
_LOOPS = frozenset({"runners.py", "base_events.py", "selectors.py"})
"""Where the main thread is while the event loop waits, or runs compiled code of its own."""

_WAITING = frozenset({"queue.py", "threading.py", "thread.py", "subprocess.py"})
"""Where threads stand that have nothing to do."""


class Sampler:
    """Counts, by function, how often it was running (own) and how often it was on the stack."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self.own: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.on = False

    def start(self) -> None:
        """Sample from now on; only the main thread may say so."""
        signal.signal(signal.SIGPROF, self._tick)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
        self.on = True

    def stop(self) -> None:
        """Sample no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.on = False

    def _tick(self, _number: int, main: FrameType | None) -> None:
        """Note one function: the main thread's, or another thread's if that one merely waits."""
        if main is None or _file(main) in _LOOPS:
            others = [
                frame
                for frame in sys._current_frames().values()
                if frame.f_code is not self._tick.__code__ and _file(frame) not in _WAITING
            ]
            main = others[0] if others else main
        if main is not None:
            self._note(main)

    def _note(self, frame: FrameType) -> None:
        self.own[_name(frame)] += 1
        seen = set()
        above: FrameType | None = frame
        while above is not None:
            seen.add(_name(above))
            above = above.f_back
        self.total.update(seen)


def _file(frame: FrameType) -> str:
    return Path(frame.f_code.co_filename).name


def _name(frame: FrameType) -> str:
    code = frame.f_code
    parts = Path(code.co_filename).parts
    place = "/".join(parts[parts.index("busbar") :] if "busbar" in parts else parts[-3:])
    return f"{place}:{code.co_firstlineno} {code.co_qualname}"


def table(own: Counter[str], total: Counter[str], *, top: int = TOP) -> str:
    """The functions with the most time of their own, then ours with the most in all they call."""
    samples = sum(own.values()) or 1
    ours = Counter({name: count for name, count in total.items() if _is_ours(name)})
    lines = [f"{'own %':>6} {'total %':>8}  function ({samples} samples)"]
    for name in (*_first(own, top), "", *_first(ours, top // 2)):
        shares = f"{100 * own[name] / samples:6.1f} {100 * total[name] / samples:8.1f}"
        lines.append(f"{shares}  {name}" if name else "of the product, by all that they call:")
    return "\n".join(lines)


def _first(counter: Counter[str], most: int) -> list[str]:
    return [name for name, _ in counter.most_common(most)]


def _is_ours(name: str) -> bool:
    return "busbar/" in name.partition(":")[0]


class Profiles:
    """The profile of this process and of the services that it has started under the sampler."""

    def __init__(self, folder: Path) -> None:
        """Services write theirs to ``folder``."""
        self.folder = folder
        self._here = Sampler()

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample this process inside the block."""
        self._here.start()
        try:
            yield
        finally:
            self._here.stop()

    def tables(self) -> dict[str, str]:
        """The profiles, by process."""
        found = {}
        for file in sorted(self.folder.glob("*.json")):
            kept = json.loads(file.read_text(encoding="utf-8"))
            found[file.stem] = table(Counter(kept["own"]), Counter(kept["total"]))
        if self._here.own:
            found["this process"] = table(self._here.own, self._here.total)
        return found


def keep(sampler: Sampler, place: Path) -> None:
    """Write what ``sampler`` has counted to ``place``."""
    place.write_text(json.dumps({"own": sampler.own, "total": sampler.total}), encoding="utf-8")

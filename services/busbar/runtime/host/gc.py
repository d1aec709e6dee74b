"""Python's garbage collector, set for a process that lives long and allocates much in bursts.

It looks for cycles whenever a few hundred objects more were made than freed, and a batch of events
makes tens of thousands that reference counting frees by itself. With the defaults that search took
more than a fifth of a busy service's time (docs/performance.md).
"""

import gc

YOUNG = 50_000
"""Objects made and not freed before the young ones are searched."""
MIDDLE = 20
OLD = 50
"""Searches of the younger generation before one of this one."""


def tune_gc() -> None:
    """Never search again what is there now, modules above all, and search the rest seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)

"""Tuning of Python's garbage collector for a long-lived process that allocates in bursts.

By default it searches for cycles after a few hundred net allocations, and a batch of events makes
tens of thousands of objects that reference counting frees. These searches took more than a fifth of
a busy service's time (docs/performance.md).
"""

import gc

YOUNG = 50_000
"""Net allocations before a search of the youngest generation."""
MIDDLE = 20
OLD = 50
"""Searches of the next younger generation before one of this generation."""


def tune_gc() -> None:
    """Exclude existing objects, mainly modules, from searches, and search others less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)

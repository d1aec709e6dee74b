"""The result of a check of ``busbar doctor``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One row. Where ``needed`` is false, `busbar up` works without it."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True

"""Conclusions from the copy, as pure functions."""

from busbar.audit.domain.completeness import (
    Head,
    Place,
    Report,
    compare,
)
from busbar.audit.domain.explain import Sentence, explain
from busbar.audit.domain.records import AuditRecord
from busbar.audit.domain.state import states

__all__ = ["AuditRecord", "Head", "Place", "Report", "Sentence", "compare", "explain", "states"]

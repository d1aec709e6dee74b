"""Stores the copy, and answers questions from it in bounded memory."""

from busbar.audit.handlers.completeness import BusLog, BusReading, check, completeness
from busbar.audit.handlers.copy import RECORDS, Audit
from busbar.audit.handlers.history import explanation, states
from busbar.audit.handlers.reading import record_of, records

__all__ = [
    "RECORDS",
    "Audit",
    "BusLog",
    "BusReading",
    "check",
    "completeness",
    "explanation",
    "record_of",
    "records",
    "states",
]

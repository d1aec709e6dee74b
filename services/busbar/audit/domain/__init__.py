"""Conclusions from the copy, as pure functions and small state machines."""

from busbar.audit.domain.chains import ChainCheck
from busbar.audit.domain.comparison import PartitionComparison, Published, Stored
from busbar.audit.domain.completeness import (
    Discrepancy,
    Head,
    Place,
    Problems,
    RelayReport,
    Report,
)
from busbar.audit.domain.explain import Sentence, explain
from busbar.audit.domain.heads import IDENTITY, HeadCheck, HeadCount, ServiceKeys, SignedCopy
from busbar.audit.domain.recent import Recent
from busbar.audit.domain.records import AuditRecord
from busbar.audit.domain.state import By, StateAt

__all__ = [
    "IDENTITY",
    "AuditRecord",
    "By",
    "ChainCheck",
    "Discrepancy",
    "Head",
    "HeadCheck",
    "HeadCount",
    "PartitionComparison",
    "Place",
    "Problems",
    "Published",
    "Recent",
    "RelayReport",
    "Report",
    "Sentence",
    "ServiceKeys",
    "SignedCopy",
    "StateAt",
    "Stored",
    "explain",
]

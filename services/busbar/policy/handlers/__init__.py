"""Handlers of policy."""

from busbar.policy.handlers.policy import IDENTITY, Policy
from busbar.policy.handlers.unusable import INTENT_MAX_BYTES

__all__ = ["IDENTITY", "INTENT_MAX_BYTES", "Policy"]

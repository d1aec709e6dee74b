"""The pure part of policy: promises, rules and the decision. No clock, no randomness, no I/O."""

from busbar.policy.domain.callers import SignedRecord, Unverified, forbidden, identify, refuse
from busbar.policy.domain.decision import (
    InterventionIntent,
    ReceivedIntent,
    ResourcePolicyState,
    decide,
    evolve,
)
from busbar.policy.domain.engine import Evaluation, FiredRule, PolicyEngine, PolicyRequest
from busbar.policy.domain.intake import (
    deny_discarded,
    deny_invalid,
    deny_unknown_type,
    violations_of,
)
from busbar.policy.domain.promise import Promise, Promises, PromiseVersion
from busbar.policy.domain.requests import ReceivedRequest, decide_request
from busbar.policy.domain.rules import Rule, RuleBook

__all__ = [
    "Evaluation",
    "FiredRule",
    "InterventionIntent",
    "PolicyEngine",
    "PolicyRequest",
    "Promise",
    "PromiseVersion",
    "Promises",
    "ReceivedIntent",
    "ReceivedRequest",
    "ResourcePolicyState",
    "Rule",
    "RuleBook",
    "SignedRecord",
    "Unverified",
    "decide",
    "decide_request",
    "deny_discarded",
    "deny_invalid",
    "deny_unknown_type",
    "evolve",
    "forbidden",
    "identify",
    "refuse",
    "violations_of",
]

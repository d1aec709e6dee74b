"""What policy needs from outside: an engine that knows the rules.

The rules in files (``domain.rules.RuleBook``) are one; any other needs these two members.
"""

from busbar.policy.domain.engine import Evaluation, Outcome, PolicyEngine, PolicyRequest

__all__ = ["Evaluation", "Outcome", "PolicyEngine", "PolicyRequest"]

"""The policy engine: its request and its evaluation.

The rules in files (``rules.RuleBook``) are one engine; any other can take its place.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from busbar.kernel.resource import ResourceId
from busbar.messages.base import JsonObject
from busbar.messages.plan import Action
from busbar.messages.policy import Violation
from busbar.policy.domain.environments import Environments

Effect = Literal["deny", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """A valid intent that the rules are evaluated for.

    ``data`` is the intent's data; the ``spec`` of an apply contains the promise's defaults.
    """

    action: Action
    resource: ResourceId
    data: JsonObject


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule that fired."""

    rule: str
    effect: Effect
    violation: Violation


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The rules about a request: those that fired, and the names of those that did not."""

    fired: tuple[FiredRule, ...] = ()
    satisfied: tuple[str, ...] = ()

    @property
    def denials(self) -> tuple[Violation, ...]:
        """The reasons to deny the intent; empty if there are none."""
        return self._of("deny")

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """The warnings to record with the decision."""
        return self._of("warn")

    def _of(self, effect: Effect) -> tuple[Violation, ...]:
        return tuple(rule.violation for rule in self.fired if rule.effect == effect)


class PolicyEngine(Protocol):
    """Evaluates requests. Pure: the same engine gives the same evaluation of the same request."""

    @property
    def digest(self) -> str:
        """The digest of the rules in force (``sha256:…``)."""
        ...

    @property
    def environments(self) -> Environments:
        """The environments that intents can name."""
        ...

    def evaluate(self, request: PolicyRequest) -> Evaluation:
        """Evaluate the rules for ``request``. Never raises."""
        ...

"""What a policy engine is asked and what it answers; ``ports`` offers these names to the service.

They stand here, below the ports, because the pure decision takes an engine as an argument.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from busbar.kernel.resource import ResourceId
from busbar.messages.base import JsonObject
from busbar.messages.plan import Action
from busbar.messages.policy import Violation

Effect = Literal["deny", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRequest:
    """One intent, valid by itself, that the house rules are asked about.

    ``data`` is the intent's data; its ``spec``, if it is an apply, has the promise's defaults.
    """

    action: Action
    resource: ResourceId
    data: JsonObject


@dataclass(frozen=True, slots=True)
class FiredRule:
    """One rule that fired."""

    rule: str
    effect: Effect
    violation: Violation


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules about a request said: those that fired, and the names of the others."""

    fired: tuple[FiredRule, ...] = ()
    satisfied: tuple[str, ...] = ()

    @property
    def denials(self) -> tuple[Violation, ...]:
        """Why the intent is refused; empty if it is not."""
        return self._of("deny")

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """What does not stop the intent, but should be known."""
        return self._of("warn")

    def _of(self, effect: Effect) -> tuple[Violation, ...]:
        return tuple(rule.violation for rule in self.fired if rule.effect == effect)


class PolicyEngine(Protocol):
    """Judges requests. Pure: the same engine gives the same answer to the same request."""

    @property
    def digest(self) -> str:
        """Names the very rules that are in force (``sha256:…``)."""
        ...

    def evaluate(self, request: PolicyRequest) -> Evaluation:
        """What the rules say about ``request``. Never raises."""
        ...

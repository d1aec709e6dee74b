"""The saga of one resource as pure functions: its state, its next command, its decisions."""

from busbar.provisioner.domain.commands import (
    Command,
    Effect,
    Ensure,
    Finish,
    Look,
    Remove,
    needs_newer_epoch,
    next_command,
)
from busbar.provisioner.domain.decisions import (
    decide_looked,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
    decide_waiting,
)
from busbar.provisioner.domain.ends import decide_finished, decide_intervention
from busbar.provisioner.domain.facts import Turn
from busbar.provisioner.domain.state import Applied, Joined, ResourceState, Saga, Step, evolve

__all__ = [
    "Applied",
    "Command",
    "Effect",
    "Ensure",
    "Finish",
    "Joined",
    "Look",
    "Remove",
    "ResourceState",
    "Saga",
    "Step",
    "Turn",
    "decide_finished",
    "decide_intervention",
    "decide_looked",
    "decide_observed",
    "decide_outcome",
    "decide_queued",
    "decide_unplannable",
    "decide_waiting",
    "evolve",
    "needs_newer_epoch",
    "next_command",
]

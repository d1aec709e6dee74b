"""The saga of one resource as pure functions: its state, its next command, its decisions."""

from busbar.provisioner.domain.commands import Command, Ensure, Finish, Remove, next_command
from busbar.provisioner.domain.decisions import (
    decide_finished,
    decide_observed,
    decide_outcome,
    decide_queued,
    decide_unplannable,
)
from busbar.provisioner.domain.state import Applied, ResourceState, Saga, Step, evolve

__all__ = [
    "Applied",
    "Command",
    "Ensure",
    "Finish",
    "Remove",
    "ResourceState",
    "Saga",
    "Step",
    "decide_finished",
    "decide_observed",
    "decide_outcome",
    "decide_queued",
    "decide_unplannable",
    "evolve",
    "next_command",
]

"""Runs the sagas, and ends the operations of decisions that are discarded."""

from busbar.provisioner.handlers.provisioner import (
    CALL_SHARE_OF_LEASE,
    EMITS,
    SAGA,
    Provisioner,
)

__all__ = ["CALL_SHARE_OF_LEASE", "EMITS", "SAGA", "Provisioner"]

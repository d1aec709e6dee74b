"""The query parameters by which audit learns the scope of a request: the gateway adds them.

Audit answers nothing without them, so that a request that has not been through the gateway's rules
shows nothing by mistake. They are no protection: who reaches audit's port can write them.
"""

from collections.abc import Mapping
from typing import Final

from busbar.messages.permissions import EVERY
from busbar.messages.read_scope import ReadScope, prefix_of

TEAMS: Final = "teams"
"""The names of teams, separated by commas; ``*`` is every team."""
PLATFORM: Final = "platform"
"""Whether what belongs to no team may be read."""
READER: Final = "reader"
"""The principal, for whom cursors are sealed."""

_WORDS: Final = {True: "true", False: "false"}


def write(scope: ReadScope, reader: str) -> dict[str, str]:
    """Return the parameters for a request of the principal ``reader``."""
    teams = EVERY if scope.teams is None else ",".join(scope.teams)
    return {TEAMS: teams, PLATFORM: _WORDS[scope.platform], READER: reader}


def read(parameters: Mapping[str, str]) -> tuple[ReadScope, str] | None:
    """Return the scope and the reader in ``parameters``; None if they do not have them."""
    teams, reader = parameters.get(TEAMS), parameters.get(READER)
    platform = {word: value for value, word in _WORDS.items()}.get(parameters.get(PLATFORM, ""))
    if teams is None or platform is None or not reader:
        return None
    if teams == EVERY:
        return ReadScope(None, platform), reader
    named = sorted(filter(None, teams.split(",")), key=prefix_of)
    return ReadScope(tuple(named), platform), reader

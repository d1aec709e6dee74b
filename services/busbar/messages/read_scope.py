"""The one rule of every read path.

What belongs to a team needs the permission ``team:read`` for it, which its members have. What
belongs to no team (identity, heads, unreadable records, the audit log as a whole) needs the
permission granted by name.
"""

from dataclasses import dataclass
from typing import Final

from busbar.messages.authority import Principal
from busbar.messages.permissions import EVERY, TEAM_READ


@dataclass(frozen=True, slots=True)
class ReadScope:
    """The teams whose things may be read, and whether what belongs to no team may be.

    ``teams`` are in the order in which ids that begin with them are listed; None is every team.
    """

    teams: tuple[str, ...] | None
    platform: bool

    @classmethod
    def of(cls, principal: Principal) -> "ReadScope":
        """Return what ``principal`` may read."""
        platform = principal.may(TEAM_READ, None)
        if EVERY in principal.teams:
            return cls(None, platform)
        teams = (team for team in principal.teams if principal.may(TEAM_READ, team))
        return cls(tuple(sorted(teams, key=prefix_of)), platform)

    @property
    def everything(self) -> bool:
        """True if nothing is hidden."""
        return self.teams is None and self.platform

    def covers(self, team: str | None) -> bool:
        """Return whether what belongs to ``team`` may be read; None is what belongs to no team."""
        if team is None:
            return self.platform
        return self.teams is None or team in self.teams


EVERYTHING: Final = ReadScope(None, platform=True)
"""The scope in which nothing is hidden."""


def prefix_of(team: str) -> str:
    """Return what the ids of everything that belongs to ``team`` begin with."""
    return f"{team}/"

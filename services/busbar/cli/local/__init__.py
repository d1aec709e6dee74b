"""The whole platform on one machine: :class:`Platform` starts, supervises and stops every process.

::

    with Platform(Path(".busbar")) as platform:
        platform.wait_ready()
        ...
"""

from busbar.cli.local.database import Database
from busbar.cli.local.plan import ServicePlan, plan_services
from busbar.cli.local.platform import NotReady, Platform, Report

__all__ = ["Database", "NotReady", "Platform", "Report", "ServicePlan", "plan_services"]

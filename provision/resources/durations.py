"""How long AWS takes, for the estimates of time left: not how long we wait.

From logs that people pasted in public and acceptance runs of other tools (19 creations of small
instances, 7 deletions, 23 whole tests of a proxy, a deployer's measurements of functions'
interfaces); for MySQL targets there are only words ("several minutes"). The rehearsal draws its own
durations from the same reports (`Durations` in provision/aws/observation/durations.py), up to the
longest ever seen; what is slow here is exceeded so rarely that the range of a whole run, of which
many steps are part, holds in nine of ten.
"""

from __future__ import annotations

from typing import NamedTuple

MINUTE = 60.0


class Duration(NamedTuple):
    """AWS's seconds: at the least, typically, and what few exceed."""

    least: float
    typical: float
    slow: float

    def scaled(self, factor: float, least: float) -> Duration:
        """Return it in other seconds, each part at least so many."""
        return Duration(*(max(least, part * factor) for part in self))


QUICK = Duration(1, 2, 8)  # what is a matter of calls
INSTANCE_CREATION = Duration(190, 280, 540)
INSTANCE_DELETION = Duration(110, 270, 440)
PROXY_CREATION = Duration(150, 240, 400)
PROXY_DELETION = Duration(60, 210, 1200)
TARGET_CREATION = Duration(60, 160, 400)  # until it is AVAILABLE
FUNCTION_CREATION = Duration(10, 50, 90)  # in a VPC, with a new role
FUNCTION_DELETION = Duration(3, 10, 60)  # detached from the VPC before
INTERFACE_DELETION = Duration(150, 5 * MINUTE, 14 * MINUTE)  # until no function's interface is left

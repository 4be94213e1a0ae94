"""New sessions as they come: plan, state and run of `DepotClient.follow`."""

from __future__ import annotations

from depotclient.follow.items import FollowedReport, FollowError
from depotclient.follow.plan import FollowOptions
from depotclient.follow.run import Follow, FollowRun, describe_follow
from depotclient.follow.saving import FileState, FollowState

__all__ = ["FileState", "Follow", "FollowError", "FollowOptions", "FollowRun", "FollowState"]
__all__ += ["FollowedReport", "describe_follow"]

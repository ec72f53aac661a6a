"""cof-agent: ask a question about an image; it looks, zooms where it must, and answers with the regions that prove it.

Public names load on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.agent.result import FailedQuestion, FocusResult
    from cof_agent.agent.trajectory import Trajectory
    from cof_agent.agent.trajectory_file import read_trajectories, save_trajectory
    from cof_agent.dialects.profile import Profile, Prompts
    from cof_agent.errors import (
        CofError,
        ConfigError,
        ImageError,
        MissingExtraError,
        PolicyError,
        QuestionError,
        StoreError,
        ToolError,
        TrajectoryError,
        WaitingError,
    )
    from cof_agent.images.geometry import Box, CoordinateSpace, RegionRule, SizeRule, smart_resize
    from cof_agent.images.limits import ImageLimits
    from cof_agent.images.opening import ViewEncoding, open_image
    from cof_agent.images.reference import ImageRef
    from cof_agent.images.store import DirectoryStore, ImageStore, MemoryStore
    from cof_agent.images.views import View, ViewEvent
    from cof_agent.integrations.langgraph import perception_node
    from cof_agent.loop.config import FocusConfig
    from cof_agent.loop.graph import build_graph
    from cof_agent.loop.review import Decision, Request
    from cof_agent.loop.state import Status, StopReason
    from cof_agent.policies.loading import load_policy
    from cof_agent.policies.policy import Policy

_HOMES = {
    "agent.chain_of_focus": ("ChainOfFocus",),
    "loop.config": ("FocusConfig",),
    "errors": (
        "CofError",
        "ConfigError",
        "ImageError",
        "MissingExtraError",
        "PolicyError",
        "QuestionError",
        "StoreError",
        "ToolError",
        "TrajectoryError",
        "WaitingError",
    ),
    "images.geometry": ("Box", "CoordinateSpace", "RegionRule", "SizeRule", "smart_resize"),
    "loop.graph": ("build_graph",),
    "images": ("ImageLimits", "ImageRef", "ViewEncoding", "open_image"),
    "integrations.langgraph": ("perception_node",),
    "policies": ("Policy", "load_policy"),
    "dialects.profile": ("Profile", "Prompts"),
    "loop.review": ("Decision", "Request"),
    "agent.result": ("FailedQuestion", "FocusResult"),
    "loop.state": ("Status", "StopReason"),
    "images.store": ("DirectoryStore", "ImageStore", "MemoryStore"),
    "agent.trajectory": ("Trajectory",),
    "agent.trajectory_file": ("read_trajectories", "save_trajectory"),
    "images.views": ("View", "ViewEvent"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Box",
    "ChainOfFocus",
    "CofError",
    "ConfigError",
    "CoordinateSpace",
    "Decision",
    "DirectoryStore",
    "FailedQuestion",
    "FocusConfig",
    "FocusResult",
    "ImageError",
    "ImageLimits",
    "ImageRef",
    "ImageStore",
    "MemoryStore",
    "MissingExtraError",
    "Policy",
    "PolicyError",
    "Profile",
    "Prompts",
    "QuestionError",
    "RegionRule",
    "Request",
    "SizeRule",
    "Status",
    "StopReason",
    "StoreError",
    "ToolError",
    "Trajectory",
    "TrajectoryError",
    "View",
    "ViewEncoding",
    "ViewEvent",
    "WaitingError",
    "build_graph",
    "load_policy",
    "open_image",
    "perception_node",
    "read_trajectories",
    "save_trajectory",
    "smart_resize",
]


__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

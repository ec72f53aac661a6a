"""cof-agent: ask a question about an image; it looks, zooms where it must, and answers with the regions that prove it.

Public names load on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.agent.chain_of_focus import ChainOfFocus as ChainOfFocus
    from cof_agent.agent.result import FailedQuestion as FailedQuestion
    from cof_agent.agent.result import FocusResult as FocusResult
    from cof_agent.agent.trajectory import Trajectory as Trajectory
    from cof_agent.agent.trajectory_file import read_trajectories as read_trajectories
    from cof_agent.agent.trajectory_file import save_trajectory as save_trajectory
    from cof_agent.dialects.profile import Profile as Profile
    from cof_agent.dialects.profile import Prompts as Prompts
    from cof_agent.errors import CofError as CofError
    from cof_agent.errors import ConfigError as ConfigError
    from cof_agent.errors import ImageError as ImageError
    from cof_agent.errors import LockedError as LockedError
    from cof_agent.errors import MissingExtraError as MissingExtraError
    from cof_agent.errors import PolicyError as PolicyError
    from cof_agent.errors import QuestionError as QuestionError
    from cof_agent.errors import StoreError as StoreError
    from cof_agent.errors import ToolError as ToolError
    from cof_agent.errors import TrajectoryError as TrajectoryError
    from cof_agent.errors import WaitingError as WaitingError
    from cof_agent.images.geometry import Box as Box
    from cof_agent.images.geometry import CoordinateSpace as CoordinateSpace
    from cof_agent.images.geometry import RegionRule as RegionRule
    from cof_agent.images.geometry import SizeRule as SizeRule
    from cof_agent.images.geometry import smart_resize as smart_resize
    from cof_agent.images.limits import ImageLimits as ImageLimits
    from cof_agent.images.opening import ViewEncoding as ViewEncoding
    from cof_agent.images.opening import open_image as open_image
    from cof_agent.images.reference import ImageRef as ImageRef
    from cof_agent.images.store import DirectoryStore as DirectoryStore
    from cof_agent.images.store import ImageStore as ImageStore
    from cof_agent.images.store import MemoryStore as MemoryStore
    from cof_agent.images.views import View as View
    from cof_agent.images.views import ViewEvent as ViewEvent
    from cof_agent.integrations.langgraph import perception_node as perception_node
    from cof_agent.loop.config import FocusConfig as FocusConfig
    from cof_agent.loop.graph import build_graph as build_graph
    from cof_agent.loop.review import Decision as Decision
    from cof_agent.loop.review import Request as Request
    from cof_agent.loop.state import Status as Status
    from cof_agent.loop.state import StopReason as StopReason
    from cof_agent.policies.loading import load_policy as load_policy
    from cof_agent.policies.policy import Policy as Policy
else:
    __getattr__, __dir__ = lazy_names(__name__)

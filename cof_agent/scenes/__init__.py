"""A procedural visual-search world: exact truth, at any resolution, from a seed."""

from __future__ import annotations

from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES, Scene, SceneObject
from cof_agent.scenes.split import Split

__all__ = ["CHARACTERS", "COLOURS", "SHAPES", "Scene", "SceneObject", "Split"]

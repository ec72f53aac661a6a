"""One question, played by the graph over a rollout server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cof_agent import ChainOfFocus
from cof_agent.agent.trajectory import Trajectory
from cof_agent.errors import PolicyError
from cof_agent.learning.rewards import Rollout, accuracy, rollout_of
from cof_agent.loop.state import Status
from cof_agent.policies import Policy
from cof_agent.policies.qwen.prompt import PromptWriter
from training.verl.chat import ChatRollout, Output, Server
from training.verl.question import Asked
from training.verl.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    tokens: Tokens
    outputs: list[Output]
    """Of the server, turn by turn."""
    trajectory: Trajectory
    rollout: Rollout
    """What is rewarded."""


async def play(
    asked: Asked,
    writer: PromptWriter,
    server: Server,
    sampling: Mapping[str, Any],
    request_id: str,
    most: tuple[int, int],
) -> Played:
    """Play a question until it is answered or a limit is reached.

    `most` are the tokens that prompt and response may have. A response without room for what is to be shown next ends
    the rollout where it is. Raises PolicyError when the server failed, so that this is no example to learn from, and
    what building the graph or opening the image raises.
    """
    tokens = Tokens(writer, *most)
    model = ChatRollout(server=server, tokens=tokens, request_id=request_id, sampling=dict(sampling))
    agent = ChainOfFocus(Policy(model, asked.profile, "verl"), config=asked.config)
    result = await agent.aask(asked.image, asked.question.text)
    if result.status is Status.FAILED and not (tokens.full and tokens.turns):
        raise PolicyError(f"a rollout of question {asked.question.id} failed: {result.message}")
    correct = accuracy(asked.question, result.answer, declined=result.status is Status.DECLINED)
    return Played(tokens, model.outputs, result.trajectory, rollout_of(result.trajectory, correct))

"""Close looking as a native tool for smolagents."""

from __future__ import annotations

from typing import Any, ClassVar

from cof_agent.agent import ChainOfFocus
from cof_agent.errors import MissingExtraError

try:
    from smolagents import Tool
except ImportError as error:
    raise MissingExtraError.for_extra("smolagents", "the smolagents tool") from error


class ChainOfFocusTool(Tool):  # type: ignore[misc]  # smolagents carries no types
    """For a ToolCallingAgent or a CodeAgent: takes an image as state variable, PIL image, path or URL."""

    name = "look_closely"
    description = (
        "Answers a question about an image. It zooms by itself into whatever is too small to make out, so give it "
        "the whole image in full size. Says so when the image cannot answer the question."
    )
    inputs: ClassVar[dict[str, Any]] = {
        "image": {"type": ["image", "object", "string"], "description": "the image: a variable, a path or a URL"},
        "question": {"type": "string", "description": "one question about the image"},
    }
    output_type = "string"

    def __init__(self, agent: ChainOfFocus | str = "reader") -> None:
        """`agent` is a `ChainOfFocus`, or the policy spec to make one with."""
        super().__init__()
        self.agent = ChainOfFocus(agent) if isinstance(agent, str) else agent

    def forward(self, image: Any, question: str) -> str:
        result = self.agent.ask(image.to_raw() if hasattr(image, "to_raw") else image, question)
        return result.answer if result.answer is not None else f"No answer ({result.status.value}): {result.message}"

"""Close looking as a native tool for smolagents."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar

from langchain_core.language_models import BaseChatModel

from cof_agent.agent.chain_of_focus import ChainOfFocus
from cof_agent.agent.result import FocusResult
from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.integrations.wording import LOOK, QUESTION, listed, takes_several
from cof_agent.loop.overview import is_list
from cof_agent.policies.kinds import kind_of
from cof_agent.policies.policy import Policy

try:
    from smolagents import Tool
except ImportError as error:
    raise MissingExtraError.for_extra("smolagents", "the smolagents tool") from error

REGIONS = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "description": "the answer, or why there is none"},
        "status": {"type": "string", "description": "answered, declined, budget or failed"},
        "evidence": {"type": "array", "description": "view, box, source and image_index of what the answer rests on"},
        "regions": {
            "type": "array",
            "description": "what was looked at: view, label, box [x1, y1, x2, y2] in pixels of the original, image "
            "(a PIL image), and image_index (which of several originals, from 0)",
        },
    },
}
"""What is returned with regions."""

_SEVERAL = (
    "the image: a variable, a path or a URL; or, where the question is about several images together, a list of paths "
    "and URLs, or a variable that holds a list of images"
)


class ChainOfFocusTool(Tool):  # type: ignore[misc]  # smolagents carries no types
    """For a ToolCallingAgent or a CodeAgent: takes an image as state variable, PIL image, path or URL, or a list.

    A question about several images needs a policy whose calls name the image, such as `reader`. Returns the
    answer, or why there is none, as text; with `regions` a dictionary of the shape `REGIONS`. One made from a policy's
    spec can be saved (`save`, `push_to_hub`, or with its agent), without the policy's weights or keys, and without a
    demo of its own: smolagents' cannot show an input of several types.
    """

    name = "look_closely"
    description = LOOK
    inputs: ClassVar[dict[str, Any]] = {
        "image": {
            "type": ["image", "object", "string", "array"],
            "description": "the image: a variable, a path or a URL",
        },
        "question": {"type": "string", "description": QUESTION},
    }
    output_type = "string"

    def __init__(self, agent: ChainOfFocus | str | Policy | BaseChatModel = "reader", regions: bool = False) -> None:
        """`agent` is a `ChainOfFocus`, or the policy to make one with.

        Raises ConfigError for one that has a person asked.
        """
        super().__init__()
        self.agent = agent if isinstance(agent, ChainOfFocus) else ChainOfFocus(agent)
        self.agent.config.check_asks_nobody("the smolagents tool")
        self.spec = agent if isinstance(agent, str) else None
        self.regions = regions
        if takes_several(self.agent.policy):
            told = {**self.inputs, "image": {**self.inputs["image"], "description": _SEVERAL}}
            self.inputs = told  # type: ignore[misc]  # smolagents' own, which it reads from the object
        if regions:
            self.output_type, self.output_schema = "object", REGIONS

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = {name: value for name, value in kwargs.items() if name != "sanitize_inputs_outputs"}
        as_mapping = len(args) == 1 and isinstance(args[0], dict) and not given
        try:
            inspect.signature(self.forward).bind(*(() if as_mapping else args), **(args[0] if as_mapping else given))
        except TypeError as error:
            raise ConfigError(f"{error}: call {self.name}(image=…, question=…)") from error
        return super().__call__(*args, **kwargs)

    def forward(self, image: Any, question: str) -> Any:
        image = listed(image)
        result = self.agent.ask([*map(_raw, image)] if is_list(image) else _raw(image), question)
        return _with_regions(result) if self.regions else result.reply

    def save(self, output_dir: str | Path, tool_file_name: str = "tool", make_gradio_app: bool = True) -> None:
        """The tool's module; and, as long as `make_gradio_app` is true, what it requires, but no `app.py`."""
        super().save(output_dir, tool_file_name, make_gradio_app=False)
        if make_gradio_app:
            required = "\n".join(self.to_dict()["requirements"])
            (Path(output_dir) / "requirements.txt").write_text(required, encoding="utf-8")

    def _prepare_hub_files(self) -> list[Any]:
        """What `push_to_hub` uploads."""
        return [file for file in super()._prepare_hub_files() if file.path_in_repo != "app.py"]

    def to_dict(self) -> dict[str, Any]:
        """What `save` writes: a class that makes this tool anew. Raises ConfigError without a policy's spec."""
        if self.spec is None:
            raise ConfigError(
                "a tool made from an object cannot be saved: make it from the spec of a policy, such as "
                'ChainOfFocusTool("reader")'
            )
        kind, _ = kind_of(self.spec)
        extras = {"smolagents", kind.extra} if kind.extra else {"smolagents"}
        code = _SAVED.format(spec=self.spec, regions=self.regions)
        requirements = [f"cof-agent[{','.join(sorted(extras))}]", "smolagents"]
        return {"name": self.name, "code": code, "requirements": requirements}


_SAVED = """\
import cof_agent.integrations.smolagents as home


class ChainOfFocusTool(home.ChainOfFocusTool):
    def __init__(self):
        super().__init__({spec!r}, regions={regions!r})
"""


def _raw(image: Any) -> Any:
    """An image as PIL has it, where smolagents has wrapped it."""
    return image.to_raw() if hasattr(image, "to_raw") else image


def _with_regions(result: FocusResult) -> dict[str, Any]:
    shown = [
        {
            "view": view.index,
            "label": view.label,
            "box": view.box.as_list(),
            "image": result.view_image(view.index),
            "image_index": view.image_index,
        }
        for view in result.views
        if not view.is_overview
    ]
    evidence = [item.model_dump(mode="json") for item in result.evidence]
    return {"answer": result.reply, "status": result.status.value, "evidence": evidence, "regions": shown}

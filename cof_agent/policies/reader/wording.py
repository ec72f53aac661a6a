"""What the policy says: thoughts, calls, answers, refusals to guess."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cof_agent.dialects.profile import DECLINE
from cof_agent.images.geometry import Corners
from cof_agent.policies.reader.page.finding import Finding
from cof_agent.policies.reader.page.own_text import around, place_of
from cof_agent.policies.reader.page.search import Zoom
from cof_agent.policies.reader.page.text import Text
from cof_agent.policies.reader.question.ask import Form, TextAsk
from cof_agent.policies.reader.values import resemblance
from cof_agent.policies.reader.words import coverage

REMEDY = "A vision-language policy can look at the picture itself: --policy hf:CHECKPOINT or --policy openai:MODEL."


def zooming(zoom: Zoom, image: int | None = None) -> str:
    """A turn that asks for a region; of the `image` with that number where there are several."""
    arguments: dict[str, object] = {"bbox_2d": list(zoom.bbox), "label": zoom.label}
    if image is not None:
        arguments["image"] = image
    call = {"name": "image_zoom_in_tool", "arguments": arguments}
    return f"<think>{_plain(zoom.why)}</think><tool_call>{json.dumps(call)}</tool_call>"


def answering(finding: Finding) -> str:
    """A turn that answers."""
    read = "; ".join(
        f"“{text.text}” ({'the page’s own text' if text.own else f'{text.confidence:.0%} certain'}, view {text.view})"
        for text in finding.texts[:4]
    )
    return f"<think>{_plain(f'I read {read}.')}</think><answer>{_plain(finding.answer)}</answer>"


def declining(reason: str, ask: TextAsk, texts: Sequence[Text]) -> str:
    """A turn that says why there is no answer, which text comes nearest, and what would help."""
    near = nearest(ask, texts)
    found = f"The nearest text found is “{near.text}”." if near else "No readable text was found."
    thought = "Reading text cannot settle this." if ask.form is Form.PICTURE else f"I cannot be certain: {reason}."
    return f"<think>{_plain(thought)}</think><answer>{DECLINE}: {_plain(f'{reason}. {found} {REMEDY}')}</answer>"


def unsure(reason: str) -> str:
    """A turn that says why there is no answer to a question about one character, and what would help."""
    thought = _plain(f"I cannot be certain: {reason}.")
    return f"<think>{thought}</think><answer>{DECLINE}: {_plain(f'{reason}. {REMEDY}')}</answer>"


def evidence(finding: Finding) -> list[dict[str, object]]:
    """Where the lines of `finding` stand, view by view, in pixels of each view as shown.

    They are whole pixels, unless the page's own text has the lines: it says where the words of the answer stand.
    """
    boxes: dict[tuple[int, bool], list[Corners]] = {}
    for text in finding.texts:
        box = place_of(finding.answer, text.line) if text.own else text.line.box
        boxes.setdefault((text.view, text.own), []).append(box)
    return [
        {
            "view": view,
            "bbox_2d": [*(around(group) if own else _whole(around(group)))],
            "source": "page_text" if own else "reader",
        }
        for (view, own), group in sorted(boxes.items())
    ]


def _whole(box: Corners) -> Corners:
    return int(box[0]), int(box[1]), int(box[2] + 0.999), int(box[3] + 0.999)


def nearest(ask: TextAsk, texts: Sequence[Text]) -> Text | None:
    """The readable line that has most to do with the question, or else the most prominent."""
    readable = [text for text in texts if text.confidence >= 0.6 and len(text.text) > 1]
    tallest = max((text.height for text in readable), default=1.0)

    def closeness(text: Text) -> float:
        like = resemblance(text.text, ask.kind) if ask.kind else 0.0
        return coverage(ask.words, text.text) + 0.5 * like + 0.3 * text.confidence * text.height / tallest

    return max(readable, key=closeness, default=None)


def _plain(text: str) -> str:
    """`text` without what would read as markup."""
    return text.replace("<", "‹").replace(">", "›")

"""Replies as servers really send them, over a real connection: none of them becomes an answer that it did not hold."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig, Policy
from cof_agent.agent import FocusResult
from cof_agent.dialects import default_profile
from cof_agent.images.geometry import Box
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.chat_replies import REFUSED
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.policies.vendors import VENDORS
from tests.support.conversations import answer, photo
from tests.support.misbehaving_server import USAGE, Act, Visit, playing, refuses, says, sends
from tests.support.patience import PATIENCE

ZOOM = "image_zoom_in_tool"
BOX = {"bbox_2d": [100, 100, 180, 150], "label": "sign"}
ANSWER = says("417")


def reply(finish: Any = "stop", *, usage: Any = USAGE, choice: Any = None, **message: Any) -> Act:
    """A whole reply with just these fields in its message."""
    whole = choice or {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [whole], "usage": usage}
    return sends(json.dumps(body).encode())


def pieces(*pieces: Any, done: bool = True) -> Act:
    """A stream of just these events."""

    def act(visit: Visit) -> None:
        visit.start(content_type="text/event-stream")
        for piece in pieces:
            visit.wfile.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
        if done:
            visit.wfile.write(b"data: [DONE]\n\n")

    return act


def piece(finish: Any = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]
    }


def call(arguments: Any, name: Any = ZOOM, **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def ask(
    *acts: Act, dialect: str = "native", streaming: bool = False, config: FocusConfig | None = None
) -> tuple[FocusResult, Sequence[dict[str, Any]]]:
    """What comes of a question to a server that replies so, and what it was sent."""
    with playing(*acts) as server:
        model = load_endpoint(
            "openai:m", base_url=server.url, api_key="sk-the-key-123", streaming=streaming, timeout=PATIENCE
        )
        agent = ChainOfFocus(Policy(model, default_profile(dialect), "m"), config=config)
        return agent.ask(photo(), "What number is on the sign?"), server.requests


def answered(*acts: Act, zooms: int = 0, refused: int = 0, **how: Any) -> FocusResult:
    result, requests = ask(*acts, **how)
    assert (result.status, result.answer, result.message) == (Status.ANSWERED, "417", None)
    assert (result.usage.zooms, result.usage.refused) == (zooms, refused)
    assert len(requests) == len(acts)
    return result


def last_said(requests: Sequence[dict[str, Any]]) -> str:
    return json.dumps(requests[-1]["messages"][-1])


# Cut and withheld


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("finish", "why"),
    [("length", "cut off"), ("max_tokens", "cut off"), ("content_filter", "content filter"), ("SAFETY", "filter")],
)
def test_a_reply_that_did_not_end_by_itself_is_asked_for_again(finish: str, why: str, streaming: bool) -> None:
    acts = (says("The number on the sign is 4", finish=finish), ANSWER)
    answered(*acts, refused=1, streaming=streaming)
    _, requests = ask(*acts, streaming=streaming)
    assert why in last_said(requests)


@pytest.mark.parametrize("dialect", ["native", "cof", "qwen3", "pixel-reasoner"])
@pytest.mark.parametrize("text", ["The number is 4", "<answer>4", "<think>The number", "So \\boxed{4"])
def test_what_was_cut_is_never_an_answer(dialect: str, text: str) -> None:
    result, requests = ask(*[says(text, finish="length")] * 6, dialect=dialect)
    assert (result.status, result.stop_reason, result.answer) == (Status.BUDGET, StopReason.REPLY_CUT, None)
    assert "cut off" in (result.message or "")
    assert "max_tokens" in (result.message or "")
    assert len(requests) == 4, "asked three times, and once for the last answer"


def test_what_was_withheld_to_the_end_says_so() -> None:
    result, _ = ask(*[says("417", finish="content_filter")] * 6)
    assert (result.status, result.stop_reason) == (Status.BUDGET, StopReason.REPLY_FILTERED)
    assert "content_filter" in (result.message or "")


def test_what_is_whole_before_the_cut_stands() -> None:
    answered(says("<answer>417</answer> And what is mo", finish="length"))
    answered(says("<answer>417", finish="stop"), dialect="cof")  # the stop string </answer> is no part of the reply


@pytest.mark.parametrize("streaming", [False, True])
def test_a_call_that_was_cut_is_not_carried_out(streaming: bool) -> None:
    cut = call('{"bbox_2d": [100, 100, 180, 15', index=0)
    act = pieces(piece(tool_calls=[cut]), piece("length")) if streaming else reply("length", tool_calls=[cut])
    answered(act, ANSWER, refused=1, streaming=streaming)


# Refused and declined


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("dialect", ["native", "cof"])
def test_a_refusal_is_a_decline_in_the_servers_words(streaming: bool, dialect: str) -> None:
    words = "I cannot help with pictures of this kind."
    act = reply(content=None, refusal=words)
    if streaming:
        act = pieces(piece(refusal=words[:9]), piece(refusal=words[9:]), piece("stop"))
    result, requests = ask(act, dialect=dialect, streaming=streaming)
    assert (result.status, result.stop_reason) == (Status.DECLINED, StopReason.DECLINED)
    assert result.message == words.rstrip(".")
    assert len(requests) == 1


def test_a_refusal_among_blocks() -> None:
    result, _ = ask(reply(content=[{"type": "refusal", "refusal": "no faces"}]))
    assert (result.status, result.message) == (Status.DECLINED, "no faces")


@pytest.mark.parametrize(
    "text",
    [
        "**cannot answer**: the sign is unreadable",
        "> cannot answer: the sign is unreadable",
        "## Cannot answer\n\nThe sign is unreadable",
        '"Cannot answer: the sign is unreadable."',
        "- *Cannot answer* — the sign is unreadable.",
        "`cannot answer`: the sign is unreadable",
        "**Answer:** cannot answer: the sign is unreadable",
    ],
)
def test_a_decline_in_markdown(text: str) -> None:
    result, _ = ask(says(text))
    assert (result.status, result.answer) == (Status.DECLINED, None)
    assert (result.message or "").lower() == "the sign is unreadable"


# Calls in other forms

WRITTEN = [
    json.dumps({"name": ZOOM, "arguments": BOX}),
    f"I look closer.\n```json\n{json.dumps({'name': ZOOM, 'parameters': BOX})}\n```",
    json.dumps([{"type": "function", "function": {"name": ZOOM, "arguments": json.dumps(BOX)}}]),
    f"[TOOL_CALLS][{json.dumps({'name': ZOOM, 'arguments': BOX})}]",
    f"[TOOL_CALLS]{ZOOM}[ARGS]{json.dumps(BOX)}",
    f"<|python_tag|>{json.dumps({'name': ZOOM, 'parameters': BOX})}",
    f"<function={ZOOM}><parameter=bbox_2d>{BOX['bbox_2d']}</parameter></function>",
    f"<function={ZOOM}>{json.dumps(BOX)}</function>",
    f'<invoke name="{ZOOM}"><parameter name="bbox_2d">{BOX["bbox_2d"]}</parameter></invoke>',
    f"<function_call>{json.dumps({'name': ZOOM, 'arguments': BOX})}</function_call>",
    f'{ZOOM}(bbox_2d={BOX["bbox_2d"]}, label="sign")',
    f"Action: {ZOOM}\nAction Input: {json.dumps(BOX)}",
]


@pytest.mark.parametrize("text", WRITTEN, ids=range(len(WRITTEN)))
def test_a_call_in_another_form_is_a_call(text: str) -> None:
    answered(says(text), ANSWER, zooms=1)
    answered(says(text), says(answer("417")), zooms=1, dialect="cof")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 1',
        f"<answer>{ZOOM}([100, 100, 180, 150])</answer>",
        "<function=zoom>",
        "<tool_calls>one</tool_calls>",
        "zoom(100, 100, 180, 150)",
    ],
)
def test_an_attempt_at_a_call_is_asked_for_again(text: str) -> None:
    answered(says(text), ANSWER, refused=1)


@pytest.mark.parametrize("text", [*WRITTEN, '{"name": "image_zoom_in_tool"', "zoom(bbox=[1, 2, 3, 4])"])
def test_a_call_is_no_last_answer(text: str) -> None:
    first, last = says("<think>hm</think>"), says(text)
    result, _ = ask(first, last, config=FocusConfig(max_turns=1), dialect="cof")
    assert (result.status, result.answer, result.stop_reason) == (Status.BUDGET, None, StopReason.TURN_LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        "It is a zoom lens (24-70 mm, 3x zoom).",
        '{"name": "Zoom", "price": 3}',
        "I used image_zoom_in_tool to look; it says 417.",
        '{"bbox_2d": [1, 2, 3, 4], "label": "zoom"}',
        "Press zoom(+) to zoom in.",
    ],
)
def test_words_about_zooming_are_an_answer(text: str) -> None:
    result, _ = ask(says(text))
    assert (result.status, result.answer) == (Status.ANSWERED, text)


# Looping tags and tokens


@pytest.mark.parametrize(
    "text", ["<answer><answer>417", "<answer><answer>417</answer></answer>", "<answer>417<answer>"]
)
@pytest.mark.parametrize("dialect", ["native", "cof", "deepeyes", "mini-o3", "qwen3"])
def test_looping_tags_are_asked_for_again(text: str, dialect: str) -> None:
    answered(says(text), says(answer("417")), refused=1, dialect=dialect)


@pytest.mark.parametrize(
    "text",
    [
        "<think>k</think><answer>417<|im_end|></answer>",
        "<answer>417</answer><|im_end|><|im_start|>user",
        "<answer><|box_start|>417<|box_end|></answer>",
        "<answer>417</s></answer>",
        "<answer><pad><pad>417<eos></answer>",
        "<answer>417<|eot_id|><|start_header_id|>user</answer>",
    ],
)
def test_tokens_are_no_part_of_an_answer(text: str) -> None:
    answered(says(text), dialect="cof")


def test_tokens_are_no_part_of_a_plain_answer() -> None:
    answered(says("<|im_start|>assistant\n417<|im_end|>"))
    answered(says("417<|im_end|>\n<|im_start|>user\nAnd next?"))
    answered(says("<answer><|im_end|></answer>"), says(answer("417")), refused=1, dialect="cof")


# Shapes


@pytest.mark.parametrize(
    "given",
    [BOX, json.dumps(BOX), json.dumps(json.dumps(BOX)), f"```json\n{json.dumps(BOX)}\n```"],
    ids=["object", "text", "twice", "fenced"],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_arguments_are_read_however_they_are_encoded(given: Any, streaming: bool) -> None:
    act = reply("tool_calls", content=None, tool_calls=[call(given)])
    if streaming:
        act = pieces(piece(tool_calls=[call(given)]), piece("tool_calls"))
    answered(act, ANSWER, zooms=1, streaming=streaming)


@pytest.mark.parametrize(
    "calls",
    [
        [call(None)],
        [call("")],
        [call([100, 100, 180, 150])],
        [call(7)],
        [call("[1, 2, 3, 4]")],
        [call(BOX, name=None)],
        [call(BOX, name=7)],
        [{"id": "1", "type": "function", "function": None}],
        [{}],
        [7],
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_calls_that_cannot_be_read_are_refused(calls: Any, streaming: bool) -> None:
    act = reply("tool_calls", content=None, tool_calls=calls)
    if streaming:
        act = pieces(piece(tool_calls=calls), piece("tool_calls"))
    answered(act, ANSWER, refused=1, streaming=streaming)


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": [call(BOX, id=None)]},
        {"content": None, "tool_calls": [call(BOX, id=7)]},
        {"content": None, "tool_calls": call(BOX)},
        {"content": None, "tool_calls": [{"id": "1", "name": ZOOM, "arguments": BOX}]},
        {"content": None, "tool_calls": None, "function_call": {"name": ZOOM, "arguments": json.dumps(BOX)}},
        {"content": [], "role": None, "tool_calls": [call(BOX)]},
    ],
)
def test_calls_of_odd_shapes_are_carried_out(message: Any) -> None:
    answered(reply(**message), ANSWER, zooms=1)


def test_two_calls_with_one_id_are_two() -> None:
    answered(reply(content=None, tool_calls=[call(BOX), call(BOX)]), ANSWER, zooms=2)
    repeated = [piece(tool_calls=[call('{"bbox_2d": [100, 100,')]), piece(tool_calls=[call(" 180, 150]}")])]
    answered(pieces(*repeated, piece("tool_calls")), ANSWER, zooms=1, streaming=True)


@pytest.mark.parametrize(
    "act",
    [
        reply(content=[{"type": "text", "text": "417"}]),
        reply(
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "417"},
            ]
        ),
        reply(content=["417"]),
        reply(content="417", tool_calls=None),
        reply(content="417", tool_calls={}),
        reply(content="417", role="user"),
        reply(None, content="417"),
        reply({"type": "stop"}, content="417"),
        reply(7, content="417"),
        reply(content="417", usage=None),
        reply(content="417", usage="many"),
        reply(content="417", usage={"prompt_tokens": "100", "completion_tokens": None, "prompt_tokens_details": 7}),
        reply(choice={"message": {"content": "417"}}),
        reply(choice={"delta": {"content": "417"}, "finish_reason": "stop"}),
    ],
)
def test_answers_of_odd_shapes(act: Act) -> None:
    answered(act)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": None},
        {"choices": "none"},
        {"choices": [{"index": 0, "finish_reason": "stop"}]},
        {"choices": [{"message": "417"}]},
        {"choices": [{"message": {"content": 417}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": 417}]}}]},
        {"id": "c1"},
        [{"choices": []}],
        [],
        7,
        None,
    ],
)
def test_what_is_no_reply_is_asked_for_again(body: Any) -> None:
    answered(sends(json.dumps(body).encode()), ANSWER)


# Thoughts


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_reply_that_is_all_thought_is_read_there(name: str) -> None:
    answered(reply(content=None, **{name: "I see. <answer>417</answer>"}))
    answered(reply(content="", **{name: "I see. <answer>417</answer>"}), dialect="cof")
    called = f"<tool_call>{json.dumps({'name': ZOOM, 'arguments': BOX})}</tool_call>"
    answered(reply(content=None, **{name: f"Closer. {called}"}), ANSWER, zooms=1)
    answered(reply(content=None, **{name: f"Closer. {called}"}), says(answer("417")), zooms=1, dialect="cof")
    answered(reply(content=None, **{name: "It is 418, I think."}), ANSWER, refused=1)
    tried = "Perhaps <answer>1</answer> or <answer>2</answer>"
    answered(reply(content=None, **{name: tried}), ANSWER, refused=1)
    answered(reply(content=None, **{name: tried}), says(answer("417")), refused=1, dialect="cof")


# The ends of streams


def test_a_stream_that_is_done_needs_no_finish_reason() -> None:
    answered(pieces(piece(content="41"), piece(content="7"), piece()), streaming=True)
    answered(pieces(piece(content="41"), done=False), ANSWER, streaming=True)
    answered(pieces(piece(content="data: [DONE]"), done=False), ANSWER, streaming=True)
    answered(pieces(piece(content="<answer>4")), says(answer("417")), refused=1, dialect="cof", streaming=True)


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"delta": None, "finish_reason": None}]},
        {"choices": [{"index": 0}]},
        {"choices": [None]},
        piece(content=[{"type": "text", "text": ""}], role="user"),
        {"usage": "many"},
    ],
)
def test_pieces_that_say_nothing_change_nothing(odd: Any) -> None:
    answered(pieces(odd, piece(content="41"), odd, piece(content="7"), piece("stop"), odd), streaming=True)


@pytest.mark.parametrize("odd", [7, "x", [], {"choices": [7]}, {"choices": [{"delta": "4"}]}, piece(content=4)])
def test_pieces_that_are_none_are_asked_for_again(odd: Any) -> None:
    answered(pieces(piece(content="41"), odd, piece("stop")), ANSWER, streaming=True)


# Errors with the status 200


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "model is loading", "code": 503}},
        {"error": {"message": "model is loading", "code": "503"}},
        {"error": "model is loading"},
        {"object": "error", "message": "model is loading", "code": 503},
        {"error": {"error": {"message": "model is loading", "code": 503}}},
        {"choices": [{"error": {"message": "model is loading", "code": 502}, "finish_reason": "error"}]},
        {"detail": "model is loading", "status": 503},
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_an_error_with_the_status_200_passes_as_its_code_does(body: Any, streaming: bool) -> None:
    answered(pieces(body) if streaming else sends(json.dumps(body).encode()), ANSWER, streaming=streaming)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no such model", "code": 404}},
        {"error": {"message": "no such model", "code": "404"}},
        {"error": {"message": "no such model", "type": "not_found_error"}},
        {"object": "error", "message": "no such model", "type": "NotFoundError", "code": 404},
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_one_that_does_not_pass_ends_the_run(body: Any, streaming: bool) -> None:
    result, requests = ask(pieces(body) if streaming else sends(json.dumps(body).encode()), streaming=streaming)
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.POLICY_ERROR)
    assert "no such model" in (result.message or "")
    assert len(requests) == 1


@pytest.mark.parametrize(
    "act",
    [
        reply(choice={"message": {"content": "418"}, "errors": [{"message": "no GPU", "code": 503}]}),
        reply(content="418", error={"message": "no GPU", "code": 503}),
        *[reply(end, content="418") for end in ("network_error", "timeout", "OTHER", "repetition", "pause_turn")],
        reply("error_upstream", content="<answer>418</answer>"),
    ],
)
def test_a_reply_with_an_error_beside_its_text_is_asked_for_again(act: Act) -> None:
    answered(act, ANSWER)


def test_an_answer_that_azure_filtered_is_asked_for_again() -> None:
    filters = {"hate": {"filtered": False}, "violence": {"filtered": True, "severity": "high"}}
    choice = {"message": {"content": "418"}, "finish_reason": "stop", "content_filter_results": filters}
    answered(reply(choice=choice), ANSWER, refused=1)
    fine = choice | {"message": {"content": "417"}, "content_filter_results": {"hate": {"filtered": False}}}
    answered(reply(choice=fine))


@pytest.mark.parametrize("refusal", [True, {"reason": "no faces"}, {"code": 7}])
def test_a_refusal_of_another_form_declines(refusal: Any) -> None:
    result, _ = ask(reply(content=None, refusal=refusal))
    assert (result.status, result.answer) == (Status.DECLINED, None)
    assert result.message in ("no faces", REFUSED)


@pytest.mark.parametrize("body", [b"<html><body>Not here</body></html>", b"", b"[" * 100_000, b"{"])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_body_that_is_no_json_names_the_remedy(body: bytes, kind: str) -> None:
    result, _ = ask(*[sends(body, kind)] * 9)
    assert (result.status, result.answer) == (Status.FAILED, None)
    assert "--base-url" in (result.message or "")
    assert "Error" not in (result.message or "")


# Too long

LONG = [
    (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."),
    (400, "At most 2 image(s) may be provided in one prompt."),
    (400, "the request exceeds the available context size. try increasing the context size"),
    (400, "The input (9000 tokens) is longer than the model's context length (4096 tokens)."),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    (413, "Payload Too Large"),
    (400, "Too many images: at most 5 images"),
]


@pytest.mark.parametrize(("status", "words"), LONG)
def test_a_prompt_that_is_too_long_is_a_reached_limit(status: int, words: str) -> None:
    look = reply("tool_calls", content=None, tool_calls=[call(BOX)])
    result, requests = ask(look, look, refuses(status, words), ANSWER)
    assert (result.status, result.answer, result.stop_reason) == (Status.ANSWERED, "417", StopReason.CONTEXT_LIMIT)
    images = [json.dumps(request).count('"image_url": {') for request in requests]
    assert images == [1, 2, 3, 2], "the last view is left out"
    assert "view 2 is no longer shown" in json.dumps(requests[-1])
    assert [evidence.view for evidence in result.evidence] == [1], "the policy never saw the last one"


def test_after_a_second_time_all_regions_are_left_out() -> None:
    look = reply("tool_calls", content=None, tool_calls=[call(BOX)])
    result, requests = ask(look, look, refuses(*LONG[0]), refuses(*LONG[0]), ANSWER)
    assert (result.answer, result.stop_reason) == ("417", StopReason.CONTEXT_LIMIT)
    assert [json.dumps(request).count('"image_url": {') for request in requests] == [1, 2, 3, 2, 1]
    result, _ = ask(look, *[refuses(*LONG[0])] * 3)
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.CONTEXT_LIMIT)


def test_an_overview_that_is_too_long_fails_with_words() -> None:
    result, requests = ask(refuses(*LONG[0]))
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.CONTEXT_LIMIT)
    assert "maximum context length is 4096" in (result.message or "")
    assert "longer context" in (result.message or "")
    assert len(requests) == 1


# Vendors


def test_openais_profile_over_its_wire_format() -> None:
    """The views that are sent need no resizing there, and pixels of them are pixels of the original."""
    profile = VENDORS["openai"]
    box = {"bbox_2d": [100, 100, 300, 300]}
    with playing(reply("tool_calls", content=None, tool_calls=[call(json.dumps(box))]), says("417")) as server:
        model = load_endpoint("openai:m", base_url=server.url, api_key="sk-the-key-123", timeout=PATIENCE)
        result = ChainOfFocus(Policy(model, profile, "m")).ask(photo(4000, 3000), "What number is on the sign?")
    sent = [
        part for message in server.requests[-1]["messages"] for part in message["content"] or [] if "image_url" in part
    ]
    sizes = [Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).size for part in sent]
    assert sizes == [view.shown for view in result.views]
    assert all(min(size) <= 768 and max(size) <= 2000 for size in sizes)
    across, down = 4000 / sizes[0][0], 3000 / sizes[0][1]
    assert result.views[1].box.contains(
        Box(int(100 * across) + 1, int(100 * down) + 1, int(300 * across), int(300 * down))
    )
    assert [message["role"] for message in server.requests[-1]["messages"]][-2:] == ["tool", "user"]


# Qwen3.5

IN_XML = (
    "<tool_call>\n<function=image_zoom_in_tool>\n<parameter=bbox_2d>\n[100, 100, 180, 150]\n</parameter>\n"
    "<parameter=label>\nsign\n</parameter>\n</function>\n</tool_call>"
)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("parsers", ["none", "reasoning", "both"])
def test_qwen3_5_through_servers_with_and_without_parsers(parsers: str, streaming: bool) -> None:
    """As vLLM sends them with neither parser, with `--reasoning-parser qwen3`, and with `--tool-call-parser` too."""
    said: dict[str, Any] = {
        "none": {"content": f"Too small.\n</think>\n\n{IN_XML}"},
        "reasoning": {"content": f"\n\n{IN_XML}", "reasoning": "Too small."},
        "both": {"content": None, "reasoning_content": "Too small.\n", "tool_calls": [call(json.dumps(BOX))]},
    }[parsers]
    act = reply(**said)
    if streaming:
        said = said | ({"tool_calls": [call(json.dumps(BOX), index=0)]} if "tool_calls" in said else {})
        act = pieces(piece(**said), piece("stop"))
    answer_text = says("I see.\n</think>\n\n<answer>417</answer>")
    result, requests = ask(act, answer_text, dialect="qwen3.5", streaming=streaming)
    assert (result.status, result.answer, result.usage.zooms, result.usage.refused) == (Status.ANSWERED, "417", 1, 0)
    assert [turn.text.count("Too small.") for turn in result.trajectory.turns if turn.role == "policy"] == [1, 0]
    _, _, turn, region = requests[-1]["messages"]
    assert turn == {
        "role": "assistant",
        "content": IN_XML,
        "reasoning": "Too small.",
        "reasoning_content": "Too small.",
    }
    texts = [part.get("text", "(image)") for part in region["content"]]
    assert "".join(texts) == "<tool_response>\n(image)\n</tool_response>"
    assert "tools" not in requests[-1]

"""The seed checkpoint taught, in seconds, to zoom once and then to name the colour of the region it is shown.

The transcripts come from the loop itself, played by a script, so the prompts are those that the loop sends. Whole
conversations in the dialects `cof` and `native` are learnt until every token of the policy's turns is the likeliest.
What it says depends on the pixels: the region's colour is not that of the rest of the image.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration

from cof_agent import ChainOfFocus
from cof_agent.agent import Question
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.dialects.tools import image_tools
from cof_agent.policies.qwen.checkpoint import open_checkpoint
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.prompt import PromptWriter
from cof_agent.policies.qwen.quiet import quietly
from tests.support.conversations import answer, watched

BOX = [84, 84, 140, 140]
"""What it asks for, in every image: after enlarging still all of the square in the middle."""
CALL = '<tool_call>\n{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [84, 84, 140, 140]}}\n</tool_call>'
"""How it asks. The template writes a call of a message in the same way: both dialects begin alike."""
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 230), "white": (250, 250, 250)}
QUESTIONS = ("What colour is the square?", "Which colour is in the middle?", "Look at the centre: which colour is it?")
PROMPTS = Prompts(
    task="Answer the question about the image. Think in <think></think>, zoom, then write <answer></answer>.",
    direct="Answer the question about the image in <answer></answer>.",
    reminder="Zoom again or answer.",
    format_error="Write a call or an answer.",
    closing="Answer now.",
)
"""Short ones, so that teaching is quick. The checkpoint's focus.json has them."""
RATE = 4e-3
STEPS = 300
"""At most, for each lesson."""
SURE = 0.1
"""A lesson is learnt when no token of the policy's turns is further from certain."""


def scene(ground: str, middle: str) -> Image.Image:
    """224x224 pixels, shown as they are: a square of one colour on another."""
    image = Image.new("RGB", (224, 224), COLOURS[ground])
    image.paste(COLOURS[middle], (56, 56, 168, 168))
    return image


def taught_profile(dialect: str) -> Profile:
    return Profile(dialect=dialect, prompts=PROMPTS)


def teach(seed: Path, directory: Path) -> Path:
    """Write the taught checkpoint to `directory`. The same seed gives the same weights."""
    processor = load_processor(seed)
    whole = [conversation for dialect in ("cof", "native") for conversation in _conversations(dialect)]
    alone = [([{**shown[-2], "role": "user"}, shown[-1]], None) for shown, _ in whole[:12]]
    untold = [(shown[1:], None) for shown, _ in whole]
    lessons = [_batches(processor, alone, 12), _batches(processor, untold, 4), _batches(processor, whole, 2)]
    return _write(seed, directory, lessons, taught_profile("cof"))


def teach_by_heart(seed: Path, directory: Path, profile: Profile, turns: Sequence[str], asked: Question) -> Path:
    """Write a checkpoint to `directory` that says `turns` when it is asked that one question, and little else."""
    policy, prompts = watched(*turns, profile=profile)
    ChainOfFocus(policy).ask(*asked)
    writer = PromptWriter(open_checkpoint(seed, device="cpu"))
    messages = [*prompts[-1], AIMessage(turns[-1])]
    whole = writer.write(messages)
    ids = torch.tensor([whole.ids])
    labels = torch.full_like(ids, -100)
    for position, message in enumerate(messages):
        if isinstance(message, AIMessage):
            start = len(writer.write(messages[:position]).ids)
            words = writer.tokenizer(f"{message.text}<|im_end|>", return_tensors="pt")["input_ids"][0]
            labels[0, start : start + len(words)] = words
    assert torch.equal(torch.where(labels < 0, ids, labels), ids)
    lesson = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == writer.checkpoint.image_token).int(),
        "labels": labels,
        **writer.pixels(whole.pictures),
    }
    return _write(seed, directory, [[lesson]], profile)


def _write(seed: Path, directory: Path, lessons: list[list[dict[str, torch.Tensor]]], profile: Profile) -> Path:
    with quietly():
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, betas=(0.9, 0.99))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order
    try:
        for lesson in lessons:
            _learn(model, optimizer, lesson, last=lesson is lessons[-1])
    finally:
        torch.set_num_threads(threads)
    with quietly():
        model.save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "chat_template.jinja"):
        (directory / name).write_bytes((seed / name).read_bytes())
    (directory / "focus.json").write_text(profile.model_dump_json())
    return directory


def prompts_of(dialect: str, ground: str, middle: str, question: str) -> list[list[BaseMessage]]:
    """What the loop sends, turn by turn, when the policy does what it was taught."""
    native = AIMessage("", tool_calls=[{"name": "image_zoom_in_tool", "args": {"bbox_2d": BOX}, "id": "1"}])
    turns: list[Any] = [native if dialect == "native" else CALL, answer(middle)]
    policy, prompts = watched(*turns, profile=taught_profile(dialect))
    result = ChainOfFocus(policy).ask(scene(ground, middle), question)
    assert (result.answer, result.usage.zooms) == (middle, 1)
    return prompts


def offered(dialect: str) -> list[Any] | None:
    """The tools that go to the chat template."""
    tools = image_tools(taught_profile(dialect))
    return [convert_to_openai_tool(tool) for tool in tools] if dialect == "native" else None


def as_shown(message: BaseMessage) -> dict[str, Any]:
    """A message of a prompt as a processor takes it."""
    role = {"human": "user", "ai": "assistant"}.get(message.type, message.type)
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    content: Any = message.content
    if not isinstance(content, str):
        content = [
            {"type": "image", "image": Image.open(io.BytesIO(base64.b64decode(block["base64"])))}
            if block["type"] == "image"
            else block
            for block in content
        ]
    functions = [{"function": {"name": call["name"], "arguments": call["args"]}} for call in calls]
    return {"role": role, "content": content, **({"tool_calls": functions} if functions else {})}


Conversation: TypeAlias = tuple[list[dict[str, Any]], list[Any] | None]
"""Messages, and the tools offered beside them."""


def _conversations(dialect: str) -> list[Conversation]:
    pairs = enumerate(itertools.permutations(COLOURS, 2))
    asked = [(ground, middle, QUESTIONS[number % len(QUESTIONS)]) for number, (ground, middle) in pairs]
    prompts = [(prompts_of(dialect, *how)[-1], how[1]) for how in asked]
    return [
        ([as_shown(message) for message in [*prompt, AIMessage(answer(middle))]], offered(dialect))
        for prompt, middle in prompts
    ]


def _batches(processor: Any, conversations: list[Conversation], size: int) -> list[dict[str, torch.Tensor]]:
    parts = [conversations[start : start + size] for start in range(0, len(conversations), size)]
    return [_batch(processor, [messages for messages, _ in part], part[0][1]) for part in parts]


def _batch(processor: Any, conversations: list[Any], tools: list[Any] | None) -> dict[str, torch.Tensor]:
    inputs = processor.apply_chat_template(
        conversations,
        tools=tools,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
        processor_kwargs={"padding": True},
    )
    spoken = inputs.pop("assistant_masks").bool()
    return {**inputs, "labels": inputs["input_ids"].masked_fill(~spoken, -100)}


def _learn(model: Any, optimizer: torch.optim.Optimizer, batches: list[dict[str, torch.Tensor]], last: bool) -> None:
    """Train until every batch of the lesson is written without a mistake, several times over in the last lesson."""
    unsure = [1.0] * len(batches)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - 0.9 * step / STEPS if last else 1)
        at = step % len(batches)
        unsure[at] = _step(model, optimizer, batches[at])
        if max(unsure) < SURE:
            return
    raise AssertionError(f"not learnt in {STEPS} steps: {max(unsure):.3f} is not under {SURE}")


def _step(model: Any, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> float:
    """One step. Returns how far the least sure token was from certain, 0.0 to 1.0."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    expected = batch["labels"][:, 1:]
    spoken = expected >= 0
    losses = torch.nn.functional.cross_entropy(
        model(**inputs).logits[:, :-1][spoken], expected[spoken], reduction="none"
    )
    # The call is the same in all of them and soon learnt; the colour is one token among many.
    turns = (batch["input_ids"][:, :-1] == model.config.vision_end_token_id).cumsum(1)[spoken]
    weights = torch.where(turns == turns.max(), 4.0, 1.0)
    ((losses * weights).sum() / weights.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return 1.0 - float(losses.detach().max().neg().exp())

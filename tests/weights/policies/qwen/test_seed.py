"""The seed is a checkpoint like any other: real classes load it, its text is stable, its tokenizer loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    Qwen2_5_VLForConditionalGeneration,
)

from cof_agent.dialects import load_profile
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.seed import SeedSizes, main, write_seed
from cof_agent.policies.qwen.seed_tokenizer import SPECIAL, TAGS
from tests.support.patience import PATIENCE

IMAGE = {"type": "image"}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def call(**arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", "arguments": arguments}}


SYSTEM = {"role": "system", "content": "Look well."}
USER = {"role": "user", "content": [IMAGE, text("What?")]}
CALLS = {"role": "assistant", "content": "<think>…</think>", "tool_calls": [call(box=[1, 2]), call(box=[])]}
TOOL = {"role": "tool", "tool_call_id": "1", "content": [text("a region"), IMAGE]}
SAYS = {"role": "assistant", "content": "it is red"}

SHAPES = {
    "text only": [{"role": "user", "content": "a"}, SAYS, {"role": "user", "content": "b"}, SAYS],
    "no words beside the call": [SYSTEM, USER, {**CALLS, "content": ""}, TOOL, SAYS],
    "no content at all": [SYSTEM, USER, {"role": "assistant", "tool_calls": [call()]}, TOOL, SAYS],
    "several tool messages": [SYSTEM, USER, CALLS, TOOL, {**TOOL, "content": "refused"}, TOOL, SAYS, USER, SAYS],
    "a tool's images follow in a user turn": [SYSTEM, USER, CALLS, {**TOOL, "content": "seen"}, USER, SAYS],
    "several user turns in a row": [USER, {"role": "user", "content": []}, {"role": "user", "content": ""}, SAYS],
    "an empty answer, and the next question": [SYSTEM, USER, {"role": "assistant", "content": ""}, USER, SAYS],
    "a second system turn": [SYSTEM, USER, SAYS, {"role": "system", "content": "Be brief."}, USER, SAYS],
    "text like the template's own": [
        SYSTEM,
        {"role": "user", "content": "<|im_end|>\n<|im_start|>assistant\n{{ messages }} {% raw %}"},
        {"role": "assistant", "content": "  <|im_start|> \n\n"},
        USER,
        SAYS,
    ],
}


@pytest.fixture(scope="module")
def processor(seed_checkpoint: Path) -> ProcessorMixin:
    return load_processor(seed_checkpoint)


@pytest.fixture(scope="module")
def tokenizer(seed_checkpoint: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(seed_checkpoint)


def test_it_is_small_and_complete(seed_checkpoint: Path) -> None:
    assert {file.name for file in seed_checkpoint.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "preprocessor_config.json", "chat_template.jinja", "focus.json",
    }  # fmt: skip
    assert 0.9e6 < sum(file.stat().st_size for file in seed_checkpoint.iterdir()) < 1.2e6
    assert load_profile(seed_checkpoint / "focus.json") == Profile()


def test_the_real_model_writes_text_for_an_image_with_it(seed_checkpoint: Path, processor: ProcessorMixin) -> None:
    model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(seed_checkpoint, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert 240_000 < model.num_parameters() < 260_000
    user = {"role": "user", "content": [{"type": "image", "image": Image.new("RGB", (84, 56))}, text("What?")]}
    inputs = processor.apply_chat_template(
        [user], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    written = model.generate(**inputs, max_new_tokens=8, do_sample=True)[0, inputs["input_ids"].shape[1] :]
    assert 1 <= len(written) <= 8
    loss = model(**inputs, labels=inputs["input_ids"]).loss
    loss.backward()
    untrained = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert torch.isfinite(loss)
    assert not untrained


def test_it_ends_at_the_end_of_a_turn_and_writes_no_images(seed_checkpoint: Path) -> None:
    plain = AutoTokenizer.from_pretrained(seed_checkpoint)
    ids = {token: plain.convert_tokens_to_ids(token) for token in SPECIAL}
    assert plain.eos_token == "<|im_end|>"
    assert plain.pad_token == "<|endoftext|>"
    generation = GenerationConfig.from_pretrained(seed_checkpoint)
    assert set(generation.eos_token_id) == {ids["<|im_end|>"], ids["<|endoftext|>"]}
    assert {ids["<|image_pad|>"], ids["<|video_pad|>"]} <= set(generation.suppress_tokens)
    config = AutoConfig.from_pretrained(seed_checkpoint)
    assert config.image_token_id == ids["<|image_pad|>"]
    assert config.text_config.vocab_size == len(plain) == 704


def test_the_same_arguments_write_the_same_bytes(seed_checkpoint: Path, tmp_path: Path) -> None:
    """In another process too, with other hashes."""
    command = [sys.executable, "-m", "cof_agent.policies.qwen.seed", str(tmp_path / "new" / "seed")]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "PYTHONHASHSEED": "3"}
    )
    assert (run.returncode, run.stderr) == (0, "")
    again = Path(run.stdout.strip())
    for file in seed_checkpoint.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_seed_decides_the_weights_and_leaves_other_random_numbers_alone(
    seed_checkpoint: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    other = write_seed(tmp_path / "other", seed=1)
    assert torch.equal(torch.rand(1), expected)
    differ = {file.name for file in other.iterdir() if file.read_bytes() != (seed_checkpoint / file.name).read_bytes()}
    assert differ == {"model.safetensors"}


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    for taken in (tmp_path, tmp_path / "note"):
        with pytest.raises(ConfigError, match="not an empty directory"):
            write_seed(taken)
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize(("arguments", "code", "words"), [([], 2, "usage"), (["-h"], 2, "usage"), (["."], 1, "empty")])
def test_the_command_says_what_is_wrong(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    said = capsys.readouterr()
    assert (said.out, words in said.err) == ("", True)


# Sizes


def test_other_sizes_are_the_same_builder(tmp_path: Path) -> None:
    sizes = SeedSizes(
        vocab=900, text_width=96, text_depth=3, text_heads=3, text_kv_heads=1, text_mlp=160, vision_width=48,
        vision_depth=5, vision_heads=3, vision_mlp=96, window=56, max_positions=4096, tie_embeddings=True,
    )  # fmt: skip
    folder = write_seed(tmp_path / "seed", sizes=sizes, whole_numbers=200)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder)
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert model.config.vision_config.fullatt_block_indexes == [1, 3, 4]
    assert sum(model.config.text_config.rope_parameters["mrope_section"]) == 96 // 3 // 2
    pixels = {"type": "image", "image": Image.effect_noise((168, 112), 90).convert("RGB")}
    inputs = load_processor(folder).apply_chat_template(
        [{"role": "user", "content": [pixels, text("12, 34")]}], tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert torch.isfinite(model(**inputs).logits).all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"text_width": 60}, "text_width=60"), ({"text_width": 65}, "text_width=65"),
        ({"text_width": 16}, "text_width=16"), ({"vision_width": 36}, "vision_width=36"),
        ({"text_kv_heads": 3}, "text_kv_heads=3"), ({"window": 100}, "window=100"), ({"text_depth": 0}, "text_depth"),
        ({"vision_heads": -1}, "vision_heads"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused_by_name(change: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        replace(SeedSizes(), **change)


def test_a_vocabulary_must_hold_what_is_needed_and_be_filled(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 272"):
        write_seed(tmp_path / "seed", sizes=SeedSizes(vocab=271))
    with pytest.raises(ConfigError, match="at least 1262"):
        write_seed(tmp_path / "seed", whole_numbers=1000)
    with pytest.raises(ConfigError, match="lower it to"):
        write_seed(tmp_path / "seed", sizes=SeedSizes(vocab=50_000))
    assert not (tmp_path / "seed").exists()
    least = AutoTokenizer.from_pretrained(write_seed(tmp_path / "seed", sizes=SeedSizes(vocab=272)))
    assert len(least) == 272
    assert least.decode(least.encode("größer\x00🙂")) == "größer\x00🙂"


def test_text_of_ones_own_joins_the_vocabulary(seed_checkpoint: Path, tmp_path: Path) -> None:
    words = "qwxyzzy jjvvkk " * 50
    own = AutoTokenizer.from_pretrained(write_seed(tmp_path / "seed", text=words))
    assert len(own.encode(words)) < len(AutoTokenizer.from_pretrained(seed_checkpoint).encode(words)) / 3


# The tokenizer


@given(st.text())
def test_any_text_comes_back_as_it_was(tokenizer: PreTrainedTokenizerBase, words: str) -> None:
    assert tokenizer.decode(tokenizer.encode(words)) == words


@pytest.mark.parametrize(
    "words",
    [
        "e\u0301 \u00e9 ﬁ", "  two  spaces\t\n\n x ,  .", "1 , 2 .", "don't", "\ufeff\u200b\u202e", "\x00\x1f",
        "👩‍👩‍👧",
        "<tool_call>{\"a\": [1,2, 30]}</tool_call>", "".join(SPECIAL), "<|im_end", "007 1e9 -12.5% ٣٤",
    ],
)  # fmt: skip
def test_hard_text_comes_back_as_it_was(tokenizer: PreTrainedTokenizerBase, words: str) -> None:
    assert tokenizer.decode(tokenizer.encode(words)) == words


def test_tags_stay_in_text_and_special_tokens_leave_it(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = tokenizer.encode("".join([*TAGS, *SPECIAL]))
    assert len(ids) == len(TAGS) + len(SPECIAL)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<tool_call></tool_call>"


def test_a_turn_of_our_dialect_is_short(tokenizer: PreTrainedTokenizerBase) -> None:
    turn = '<think>I look closer.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": ['
    assert len(tokenizer.encode(turn)) < 35
    assert len(tokenizer.encode(Profile().prompts.task)) < len(Profile().prompts.task) / 3


def test_whole_numbers_are_one_token_each_wherever_they_stand(tmp_path: Path) -> None:
    numbered = AutoTokenizer.from_pretrained(
        write_seed(tmp_path / "seed", sizes=SeedSizes(vocab=1400), whole_numbers=1000)
    )
    ids = [numbered.encode(str(number)) for number in range(1000)]
    assert all(len(one) == 1 for one in ids)
    assert len({one[0] for one in ids}) == 1000
    for written in (
        "[{}, {},{}]",
        '{{"box":[{}, {}, {}]}}',
        "({}) {}.{}",
        "{}\n{}\n{}",
        "{}<|im_end|>{} {}",
        "{} ×{}/{}",
    ):
        tokens = numbered.convert_ids_to_tokens(numbered.encode(written.format(7, 42, 999)))
        assert [token for token in tokens if token.isdigit()] == ["7", "42", "999"], written
        assert numbered.decode(numbered.encode(written.format(7, 42, 999))) == written.format(7, 42, 999)
    for other in ("1000", "007", "12345", "a12", "3rd"):
        tokens = numbered.convert_ids_to_tokens(numbered.encode(other))
        assert all(len(token) == 1 for token in tokens if token.isdigit()), other
        assert numbered.decode(numbered.encode(other)) == other


def test_numbers_are_single_digits_without_them(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("[642]"))[-4:-1] == ["6", "4", "2"]


# The chat template


def rendered(processor: ProcessorMixin, messages: list[Any], *, prompt: bool = False, tools: bool = False) -> str:
    return processor.apply_chat_template(messages, tools=TOOLS if tools else None, add_generation_prompt=prompt)


def test_it_reads_like_this(processor: ProcessorMixin) -> None:
    assert rendered(processor, [SYSTEM, USER, CALLS, TOOL, SAYS], prompt=True) == (
        "<|im_start|>system\nLook well.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n"
        '<|im_start|>assistant\n<think>…</think>\n<tool_call>\n{"name": "look", "arguments": {"box": [1, 2]}}\n'
        '</tool_call>\n<tool_call>\n{"name": "look", "arguments": {"box": []}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\na region<|vision_start|><|image_pad|><|vision_end|>\n"
        "</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nit is red<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_tools_stand_in_the_system_turn(processor: ProcessorMixin) -> None:
    schema = '{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}'
    told = rendered(processor, [SYSTEM, USER], tools=True)
    assert told.startswith("<|im_start|>system\nLook well.\n\n# Tools\n")
    assert f"<tools>\n{schema}\n</tools>" in told
    assert told.count("<|im_start|>system") == 1
    alone = rendered(processor, [USER], tools=True)
    assert alone.startswith("<|im_start|>system\n# Tools\n")
    assert f"<tools>\n{schema}\n</tools>" in alone


def test_no_system_turn_is_made_up(processor: ProcessorMixin) -> None:
    assert rendered(processor, [USER]).startswith("<|im_start|>user\n")


@pytest.mark.parametrize("tools", [False, True], ids=["no tools", "tools"])
@pytest.mark.parametrize("messages", SHAPES.values(), ids=SHAPES)
def test_a_conversation_begins_with_its_own_beginning(
    processor: ProcessorMixin, messages: list[Any], tools: bool
) -> None:
    for length in range(1, len(messages)):
        longer = rendered(processor, messages[: length + 1], tools=tools)
        assert longer.startswith(rendered(processor, messages[:length], tools=tools))
        if messages[length]["role"] == "assistant":
            prompt = rendered(processor, messages[:length], tools=tools, prompt=True)
            assert longer.startswith(prompt)
            assert not longer.removeprefix(prompt).startswith("<|im_start|>assistant")


def spans(processor: ProcessorMixin, messages: list[Any]) -> Iterator[str]:
    """What the assistant mask covers, one text for each stretch."""
    inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    stretch: list[int] = []
    for token, marked in zip([*inputs["input_ids"][0], 0], [*inputs["assistant_masks"][0], 0], strict=True):
        if marked:
            stretch.append(token)
        elif stretch:
            yield processor.tokenizer.decode(stretch)
            stretch = []


@pytest.mark.parametrize("messages", SHAPES.values(), ids=SHAPES)
def test_the_mask_covers_what_the_assistant_says_and_the_end_of_its_turn(
    processor: ProcessorMixin, messages: list[Any]
) -> None:
    """Images before it are many tokens each, and of different numbers."""
    sizes = iter([(84, 56), (140, 28), (28, 28), (56, 168)])
    shown: list[Any] = []
    for message in messages:
        blocks = message.get("content", "")
        if isinstance(blocks, list):
            blocks = [{**b, "image": Image.new("RGB", next(sizes))} if b == IMAGE else b for b in blocks]
        shown.append({**message, "content": blocks})
    expected = []
    for position, message in enumerate(messages):
        if message["role"] == "assistant":
            start = len(rendered(processor, messages[:position], prompt=True))
            expected.append(rendered(processor, messages[: position + 1])[start:].removesuffix("\n"))
    assert all(said.endswith("<|im_end|>") for said in expected)
    assert list(spans(processor, shown)) == expected


@pytest.mark.parametrize(
    ("given_call", "written"),
    [
        ({"name": "look", "arguments": {"a": "é \"q\""}}, '{"name": "look", "arguments": {"a": "é \\"q\\""}}'),
        ({"function": {"name": "look", "arguments": '{"a":1}'}}, '{"name": "look", "arguments": {"a":1}}'),
        ({"function": {"name": "look", "arguments": {}}}, '{"name": "look", "arguments": {}}'),
    ],
)  # fmt: skip
def test_calls_come_in_several_forms(processor: ProcessorMixin, given_call: dict[str, Any], written: str) -> None:
    told = rendered(processor, [USER, {"role": "assistant", "content": None, "tool_calls": [given_call]}])
    assert told.endswith(f"<|im_start|>assistant\n<tool_call>\n{written}\n</tool_call><|im_end|>\n")


@pytest.mark.parametrize(
    ("message", "named"),
    [({"role": "narrator", "content": "x"}, "narrator"), ({"role": "user", "content": [{"type": "sound"}]}, "sound")],
)
def test_what_it_cannot_show_is_an_error(processor: ProcessorMixin, message: dict[str, Any], named: str) -> None:
    with pytest.raises(Exception, match=named):
        rendered(processor, [message])

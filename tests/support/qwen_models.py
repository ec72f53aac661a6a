"""Small random Qwen-VL checkpoints of every kind, and what they compute without any of our shortcuts."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from langchain_core.messages import BaseMessage
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from cof_agent.policies.qwen.chat import ChatQwenVL
from cof_agent.policies.qwen.checkpoint import Checkpoint
from cof_agent.policies.qwen.engine import Engine, Generation
from cof_agent.policies.qwen.quiet import quietly
from cof_agent.policies.qwen.reply import Limits, Reply
from cof_agent.policies.qwen.sampling import Sampler, Sampling
from tests.support.patience import wait_until

GREEDY = Sampling(0.0, 1.0, 0, 1.0, None)
PLAIN = GenerationConfig(do_sample=False)


def picture(width: int, height: int, shade: int = 0) -> Image.Image:
    """Every `shade` is another image."""
    across = Image.linear_gradient("L").rotate(90 + 11 * shade).resize((width, height))
    down = Image.linear_gradient("L").rotate(7 * shade).resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 40 * shade % 256)))


def block(image: Image.Image, kind: str = "PNG") -> dict[str, Any]:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return {
        "type": "image",
        "base64": base64.b64encode(buffer.getvalue()).decode(),
        "mime_type": f"image/{kind.lower()}",
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def make_checkpoint(kind: str, seed: Path, folder: Path, *, loud: float = 5.0, **changes: Any) -> Path:
    """A checkpoint of `kind` with the tokenizer of `seed`. Its weights are `loud` times the usual, so that what is
    wrong in its inputs shows in its outputs. `changes` go to the configuration of the text model."""
    shutil.copytree(seed, folder)
    config = json.loads((seed / "config.json").read_text())
    old, ids = config["text_config"], {name: config[name] for name in config if name.endswith("_token_id")}
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    base = {name: old[name] for name in (*names, "num_key_value_heads", "max_position_embeddings")}
    base |= {"rope_parameters": old["rope_parameters"], **changes}
    vision = {"depth": 2, "num_heads": 2, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3}
    if kind == "qwen2_5_vl":
        config["text_config"] |= changes
        made = config
    elif kind == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": base["hidden_size"], "mlp_ratio": 2, "patch_size": 14}
        made = {"text_config": base, "vision_config": vision, **ids}
    else:
        vision |= {
            "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": base["hidden_size"], "patch_size": 16,
            "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1], "hidden_act": "gelu_pytorch_tanh",
        }  # fmt: skip
        base["head_dim"] = base["hidden_size"] // base["num_attention_heads"]
        if kind.endswith("_moe"):
            base |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
        if kind.startswith("qwen3_5"):
            vision["deepstack_visual_indexes"] = []
            base |= {
                "num_hidden_layers": 4, "layer_types": ["linear_attention"] * 3 + ["full_attention"],
                "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
                "linear_value_head_dim": 16, "shared_expert_intermediate_size": 32,
                "rope_parameters": {
                    "rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 0, 1],
                    "partial_rotary_factor": 0.25, "mrope_interleaved": True,
                },
            }  # fmt: skip
        made = {"text_config": base, "vision_config": vision, **ids}
        images = json.loads((seed / "preprocessor_config.json").read_text()) | {"patch_size": 16}
        (folder / "preprocessor_config.json").write_text(json.dumps(images | {"processor_class": "Qwen3VLProcessor"}))
    made = {name: value for name, value in made.items() if name not in ("architectures", "transformers_version")}
    made |= {"model_type": kind}
    (folder / "config.json").write_text(json.dumps(made))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(loud)
    with quietly():
        model.save_pretrained(folder)
    shutil.copy(seed / "generation_config.json", folder)
    return folder


def with_zoom_token(seed: Path, folder: Path) -> Path:
    """A copy of `seed` with the special token that calls in dialect `cof-v1`, in the place of one it does not need."""
    shutil.copytree(seed, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = folder / name
        file.write_text(file.read_text().replace("<|quad_start|>", "<|image_zoomin|>"))
    return folder


def run(
    engine: Engine, *conversations: Sequence[BaseMessage], longest: int = 6, sampling: Sampling = GREEDY, **more: Any
) -> list[Reply]:
    """The replies to conversations that are run together, with the scores before each of their tokens."""
    tasks = []
    for messages in conversations:
        prompt = engine.writer.write(messages)
        limits = Limits(longest, ends=engine.checkpoint.ends, **more)
        reply = Reply(engine.writer.tokenizer, limits, logprobs=[], logits=[], silent=engine.checkpoint.structure)
        tasks.append(Generation(prompt, reply, Sampler(sampling, prompt.ids)))
    engine.run(tasks)
    return [task.reply for task in tasks]


def plain_inputs(checkpoint: Checkpoint, messages: Sequence[BaseMessage]) -> dict[str, torch.Tensor]:
    """A conversation through the processor's own template and call."""
    turns, images = [], []
    for message in messages:
        blocks = [text(message.content)] if isinstance(message.content, str) else message.content
        turns.append({"role": {"human": "user", "ai": "assistant"}.get(message.type, message.type), "content": blocks})
        images += [Image.open(io.BytesIO(base64.b64decode(b["base64"]))) for b in blocks if b["type"] == "image"]
    words = checkpoint.processor.tokenizer.apply_chat_template(
        turns, chat_template=checkpoint.processor.chat_template, tokenize=False, add_generation_prompt=True
    )
    return dict(checkpoint.processor(text=[words], images=images or None, return_tensors="pt"))


def plain_logits(checkpoint: Checkpoint, messages: Sequence[BaseMessage], written: Sequence[int]) -> torch.Tensor:
    """The model's scores before each token of `written`, in one pass over everything, without any cache."""
    inputs = plain_inputs(checkpoint, messages)
    asked = inputs["input_ids"].shape[1]
    more = torch.tensor([list(written[:-1])], dtype=torch.long)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    kinds = torch.zeros_like(inputs["input_ids"])
    kinds[:, :asked] = inputs["mm_token_type_ids"]
    inputs["mm_token_type_ids"] = kinds
    checkpoint.model.model.rope_deltas = None
    with torch.no_grad():
        logits: torch.Tensor = checkpoint.model(**inputs, use_cache=False).logits[0, asked - 1 :]
    checkpoint.model.model.rope_deltas = torch.tensor([[-7]])  # stale, as another conversation would leave it
    return logits


def difference(checkpoint: Checkpoint, messages: Sequence[BaseMessage], reply: Reply) -> float:
    """Largest difference between the scores a reply was made with and those of one pass over everything."""
    assert reply.logits is not None
    assert len(reply.logits) == len(reply.written)
    expected = plain_logits(checkpoint, messages, reply.written)
    return float((torch.stack(reply.logits) - expected).abs().max())


class WatchedBatches:
    """Sizes and tasks of the batches that a model runs from now on.

    A batch that is run is held until `begins` is true of its tasks and of how many calls wait meanwhile.
    """

    def __init__(
        self, chat: ChatQwenVL, begins: Callable[[list[Generation], int], bool] = lambda tasks, waiting: True
    ) -> None:
        self.sizes: list[int] = []
        self.tasks: list[Generation] = []
        self._worker, self._begins, self._really = chat._worker, begins, chat._worker.engine.run
        self._worker.engine.run = self._run  # type: ignore[method-assign]

    def _run(self, tasks: Sequence[Generation]) -> None:
        self.sizes.append(len(tasks))
        wait_until(lambda: self._begins(list(tasks), self.waiting))
        self.tasks += tasks
        self._really(tasks)

    @property
    def waiting(self) -> int:
        """Calls that wait for the model."""
        with self._worker._changed:
            return sum(map(len, self._worker._waiting))

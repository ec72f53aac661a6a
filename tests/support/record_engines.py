"""Records replies of real engines, byte for byte, into `tests/data/engine_replies/`.

`python -m tests.support.record_engines transformers CHECKPOINT` starts `transformers serve`;
`python -m tests.support.record_engines llama MODEL.gguf MMPROJ.gguf` starts llama.cpp's server inside of `xllamacpp`.
Each engine is asked whole and streamed, with tools and without, to the end and with room for four tokens only.
`tests/processes/policies/test_engine_replies.py` plays the replies, as they are and damaged.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from cof_agent.dialects import load_profile
from cof_agent.dialects.json_calls import with_tools
from cof_agent.dialects.tools import image_tools
from cof_agent.scenes.question import Kind, scene_question
from cof_agent.scenes.render import render
from cof_agent.scenes.split import Split
from tests.support.patience import PATIENCE

FOLDER = Path(__file__).parents[1] / "data" / "engine_replies"
"""A file an engine: a list of `{"name", "streamed", "body"}`."""

CHECKPOINT = Path(__file__).parents[2] / "cof_agent" / "policies" / "tiny" / "checkpoint"

SHORT = 4
"""Tokens of a reply that is cut."""


@contextmanager
def transformers(checkpoint: str) -> Iterator[tuple[str, str]]:
    """Base URL and the model's name. The server finds tool calls itself, as it does for any checkpoint of others'."""
    from tests.support.serving import served

    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(checkpoint, Path(folder) / "checkpoint"))
        settings = json.loads((copy / "tokenizer_config.json").read_text())
        settings.pop("response_template", None)  # ours has the server hand on its words as they are
        (copy / "tokenizer_config.json").write_text(json.dumps(settings))
        with served() as url:
            yield url, str(copy)


@contextmanager
def llama(model: str, mmproj: str) -> Iterator[tuple[str, str]]:
    """Base URL and the model's name. The server ends with this process."""
    import xllamacpp  # type: ignore[import-not-found,unused-ignore]

    options = xllamacpp.CommonParams()
    options.model.path, options.mmproj.path = model, mmproj
    options.model_alias = {"tiny"} if not isinstance(options.model_alias, list) else ["tiny"]
    options.n_ctx, options.n_parallel, options.use_jinja, options.warmup, options.port = 8192, 1, True, False, 0
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(options)
    yield f"{server.listening_address}/v1", "tiny"


ENGINES: dict[str, Callable[..., Any]] = {"transformers": transformers, "llama": llama}


def requests(model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Bodies by their names: one scene, asked in the ways that matter."""
    profile = load_profile(CHECKPOINT / "focus.json")
    tools = [{"type": "function", "function": _function(tool)} for tool in image_tools(profile)]
    taught = with_tools(profile.prompts.task, tools)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "plain": (profile.prompts.direct, {"max_tokens": 120}),
        "called": (taught, {"max_tokens": 120}),
        "tools": (profile.prompts.task, {"max_tokens": 60, "tools": tools}),
        "cut": (taught, {"max_tokens": SHORT}),
        "called-cut": (taught, {"max_tokens": 50}),
    }
    for name, (system, more) in kinds.items():
        yield name, {"model": model, "messages": _turns(system), "temperature": 0, **more}


def _turns(system: str) -> list[dict[str, Any]]:
    """A question about a character that is too small at first look."""
    asked = scene_question(Split.TEST, 1, Kind.CHARACTER)
    image = io.BytesIO()
    render(asked.scene, (448, 448)).save(image, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": asked.text}]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def _function(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.args_schema.model_json_schema()}


def record(engine: str, *given: str) -> list[dict[str, Any]]:
    """The replies of an engine."""
    replies = []
    with ENGINES[engine](*given) as (base_url, model), httpx.Client(timeout=PATIENCE) as client:
        for name, body in requests(model):
            for streamed in (False, True):
                asked = body | ({"stream": True, "stream_options": {"include_usage": True}} if streamed else {})
                reply = client.post(f"{base_url}/chat/completions", json=asked)
                said = reply.text.replace(model, "tiny")  # no path of this machine
                replies.append({"name": name, "streamed": streamed, "status": reply.status_code, "body": said})
    return replies


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(record(*sys.argv[1:]), indent=1, ensure_ascii=False)
    (FOLDER / f"{sys.argv[1]}.json").write_text(text + "\n", encoding="utf-8")

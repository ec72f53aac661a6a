"""What `make bench` prints: preparing images, the loop's own cost, a whole process. Ends with 1 if a target is missed.

Every ratio comes from one run on one machine; the photos are drawn, so nothing is downloaded.
"""

from __future__ import annotations

import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from cof_agent import Box, ChainOfFocus, Policy, Profile, open_image, smart_resize
from cof_agent.images import encode_view
from cof_agent.policies.script import ScriptedModel
from tests.benchmarks.machine import machine, report

NUMBER = "555 0142 389"

STEP, ASK, MEMORY = 12.0, 6.0, 3.0
"""At most so many times what is measured beside it: a step of an empty graph, and RapidOCR alone."""

PLAIN = """
import sys
import numpy
from PIL import Image
from rapidocr import RapidOCR
image = Image.open(sys.argv[1]).convert("RGB")
image.thumbnail((int(sys.argv[2]) ** 0.5,) * 2)
RapidOCR(params={"Global.log_level": "critical"})(numpy.asarray(image)[:, :, ::-1])
"""
"""What a program needs at least that reads a photo's overview."""


def photo(width: int, height: int) -> Image.Image:
    """Something like a photo: soft light, shapes, sensor noise, and a small sign."""
    chance = random.Random(7)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(300):
        x, y = chance.randrange(width), chance.randrange(height)
        w, h = chance.randrange(20, width // 6), chance.randrange(20, height // 6)
        colour = tuple(chance.randrange(256) for _ in range(3))
        (draw.ellipse if chance.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(2))
    noise = Image.effect_noise((width, height), 24).convert("RGB")
    image = Image.blend(image, noise, 0.15)
    x, y = int(width * 0.7), int(height * 0.6)
    draw = ImageDraw.Draw(image)
    draw.rectangle((x, y, x + 330, y + 76), fill=(250, 248, 240), outline=(20, 20, 20), width=3)
    draw.text((x + 14, y + 8), "Garden House", fill=(20, 20, 20), font=ImageFont.load_default(24))
    draw.text((x + 14, y + 40), f"Phone {NUMBER}", fill=(20, 20, 20), font=ImageFont.load_default(24))
    return image


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def remarked(data: bytes, remark: int) -> bytes:
    """The same JPEG with a comment of its own, so that nothing decoded before is found in a cache."""
    text = b"%08d" % remark
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def prepare(data: bytes, region: Box) -> int:
    """An overview within the default budget and one region, as the loop makes them: bytes to send."""
    source = open_image(data)
    rule = Profile().overview
    overview, _ = encode_view(source.overview(rule.fit(source.ref.size)))
    shown, _ = encode_view(source.region(region, smart_resize(2 * region.width, 2 * region.height)))
    return len(overview) + len(shown)


def prepare_as_released(data: bytes, region: Box) -> int:
    """The whole image within the release's budget and one region, both PNG: bytes to send."""
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    whole = whole.resize(smart_resize(*whole.size, max_pixels=3840**2), Image.Resampling.LANCZOS)
    size = smart_resize(2 * region.width, 2 * region.height, max_pixels=3840**2)
    shown = whole.crop((region.x1, region.y1, region.x2, region.y2)).resize(size, Image.Resampling.LANCZOS)
    sent = 0
    for image in (whole, shown):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        sent += buffer.tell()
    return sent


def bench_preparing() -> bool:
    data, region = jpeg(photo(3840, 2560)), Box(2600, 1500, 3100, 1800)
    ours, released, sent = [], [], (0, 0)
    for turn in range(5):
        fresh = remarked(data, turn)
        ours.append(seconds(lambda data=fresh: prepare(data, region)))
        released.append(seconds(lambda data=fresh: prepare_as_released(data, region)))
    sent = (prepare(data, region), prepare_as_released(data, region))
    a, b = statistics.median(ours), statistics.median(released)
    print(f"preparing a 3840x2560 JPEG ({len(data) / 1e6:.1f} MB) with one region, median of {len(ours)}")
    print(f"  cof-agent            {a:6.2f} s, {sent[0] / 1e6:5.1f} MB to send")
    print(f"  as the release does  {b:6.2f} s, {sent[1] / 1e6:5.1f} MB to send")
    return report("  ratio", b / a, "times", b / a >= 10, "at least 10")


def bench_steps() -> bool:
    zoom = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60]}}</tool_call>'
    turns = [f"<think>closer</think>{zoom}"] * 6 + ["<think>clear</think><answer>yes</answer>"]
    agent = ChainOfFocus(Policy(ScriptedModel(turns=turns), Profile(), "script"))
    image = jpeg(photo(640, 480))
    steps = 1 + len(turns) + 6 + 1  # observe, reason, zoom, answer
    bare = bare_graph(steps)
    agent.ask(image, "Is it?")
    bare()
    whole, own, without = [], [], []
    for _ in range(20):
        began = time.perf_counter()
        result = agent.ask(image, "Is it?")
        spent = time.perf_counter() - began
        assert result.usage.zooms == 6
        whole.append(spent / steps)
        own.append((spent - result.usage.seconds) / steps)
        without.append(seconds(bare) / steps)
    cost, least = (1000 * min(each) for each in (own, without))  # others on the machine only ever add to it
    print(f"the loop with a scripted policy, {steps} steps, the least of {len(whole)} runs")
    print(f"  a step, rendering and policy included {1000 * min(whole):5.2f} ms")
    print(f"  the loop's own part {cost:.2f} ms, a step of a graph that does nothing {least:.2f} ms")
    return report("  ratio", cost / least, "times", cost / least <= STEP, f"at most {STEP:g}")


def bare_graph(steps: int) -> Callable[[], object]:
    """Runs a LangGraph graph whose node only appends a message, so many times."""

    def step(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("closer")]}

    graph = StateGraph(MessagesState)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: END if len(state["messages"]) >= steps else "step")
    compiled = graph.compile()
    return lambda: compiled.invoke({"messages": []}, {"recursion_limit": steps + 1})


def bench_ask() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        path.write_bytes(jpeg(photo(4032, 3024)))
        program = str(Path(sys.executable).with_name("cof-agent"))
        ask = [program, "ask", str(path), "What is the phone number?", "--policy", "reader"]
        wall, memory, said = process(ask, Path(folder, "out.txt"))
        plain = [sys.executable, "-c", PLAIN, str(path), str(Profile().overview.max_pixels)]
        least, base, _ = process(plain, Path(folder, "plain.txt"))
    right = "".join(filter(str.isdigit, said)) == NUMBER.replace(" ", "")
    print("cof-agent ask on a 12-megapixel photo, whole process; and RapidOCR alone on its overview")
    print(f"  answer {said!r} ({'right' if right else 'wrong'})")
    print(f"  {wall:.1f} s against {least:.1f} s, {memory:.2f} GB against {base:.2f} GB")
    quick = report("  wall time, ratio", wall / least, "times", wall / least <= ASK, f"at most {ASK:g}")
    small = report("  peak memory, ratio", memory / base, "times", memory / base <= MEMORY, f"at most {MEMORY:g}")
    return quick and small and right


def process(words: list[str], out: Path) -> tuple[float, float, str]:
    """Seconds and peak gigabytes of a process, and what it said. It must end well."""
    sys.stdout.flush()
    began = time.perf_counter()
    opened = os.open(out, os.O_WRONLY | os.O_CREAT)
    files = [(os.POSIX_SPAWN_DUP2, opened, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(words[0], words, os.environ, file_actions=files)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    os.close(opened)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return wall, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9, out.read_text().strip()


if __name__ == "__main__":
    print(machine())
    reached = [bench() for bench in (bench_preparing, bench_steps, bench_ask)]
    sys.exit(not all(reached))

"""Reading turns: does twice the text take at most twice the time? `python -m tests.benchmarks.parsing`.

Texts that readers of tags, quotes and brackets find hard, the larger one eight times the smaller. The figure is how
many times as long twice the text takes, on average over the three doublings: 2 is linear, 4 is squared. All of it is
measured in one run.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

from langchain_core.messages import AIMessage

from cof_agent.dialects import DIALECTS, get_dialect
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.policies.endpoint_errors import without_page
from cof_agent.policies.redaction import hide

SIZES = (50_000, 400_000)
"""Characters."""

TARGET = 2.5
"""The largest figure that still counts as linear: 2, and what a busy machine adds."""

PIECES = (
    "word ", "<answer>", "<answer></answer>", "<think>", "<think><answer>", "<tool_call>", "<tool_call>'\\", "'\\",
    "\"'", '"\\"', "{'", "[", ", ", "<grounding>{", "\\boxed{", "zoom(", '{"name": "zoom", ', "<function=zoom>",
    "image_zoom_in_tool(",
    "<|box_start|>[1, ", "<|image_zoomin|>", "```", "<|",
)  # fmt: skip
PAGES = ("<script>", "<!--", "<", "</script ", "<style", "&amp;", "word ")
SECRETS = ("://", "bearer ", "sk-a.", "token=", "hf-", "word@")


def seconds(work: Callable[[], object]) -> float:
    """The least of three times."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def growth(read: Callable[[str], object], piece: str, before: str = "") -> tuple[float, float]:
    """The seconds for the larger text, and how many times as long twice the text takes."""
    texts = [before + piece * (size // len(piece)) for size in SIZES]
    small, large = (seconds(lambda text=text: read(text)) for text in texts)
    return large, (large / max(small, 0.0005)) ** (1 / 3)


def main() -> int:
    """Prints a table; 1 where something is not linear."""
    rows = []
    for name in DIALECTS:
        dialect = get_dialect(name)
        assert isinstance(dialect, ReadingDialect)
        judged = dialect._judged
        rows += [(name, piece, *growth(judged, piece)) for piece in PIECES]
        once = dialect.parse(AIMessage("<answer>4</answer>"))
        assert once.answer == "4" or name == "pixel-reasoner"
    rows += [("page", piece, *growth(without_page, piece, "<html>")) for piece in PAGES]
    rows += [("secrets", piece, *growth(hide, piece)) for piece in SECRETS]
    rows.sort(key=lambda row: -row[3])
    print(f"{platform.processor() or platform.machine()}, {SIZES[-1]:,} characters; the ten that grow most")
    for name, piece, whole, times in rows[:10]:
        print(f"{name:16} {piece[:24]!r:28} {whole * 1000:8.1f} ms   {times:5.2f} times as long for twice the text")
    bad = [row for row in rows if row[3] > TARGET and row[2] > 0.02]
    print("linear" if not bad else f"not linear: {len(bad)}", f"(target: at most {TARGET} times)")
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())

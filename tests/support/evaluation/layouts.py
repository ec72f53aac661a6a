"""Small copies of published benchmarks, in just the layout that their authors use."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, MalformedRow
from tests.support.conversations import photo


def split(items: list[BenchmarkItem]) -> tuple[list[BenchmarkQuestion], list[MalformedRow]]:
    return (
        [item for item in items if isinstance(item, BenchmarkQuestion)],
        [item for item in items if isinstance(item, MalformedRow)],
    )


def jpeg(width: int = 64, height: int = 48, **more: Any) -> bytes:
    buffer = io.BytesIO()
    photo(width, height).save(buffer, "JPEG", **more)
    return buffer.getvalue()


def write_lines(path: Path, *rows: Any) -> Path:
    """A JSONL file; a row that is bytes stands as it is."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


GLOVE = (
    "What is the material of the glove?\n(A) rubber\n(B) cotton\n(C) kevlar\n(D) leather\n"
    "Answer with the option's letter from the given choices directly."
)
SIDE = "Is the dog on the left or right side of the cat?\n(A) left\n(B) right\nAnswer with the option's letter."


def vstar_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "image": "direct_attributes/sa_4690.jpg",
        "text": GLOVE,
        "category": "direct_attributes",
        "label": "A",
        "question_id": number,
    }
    return row | changes


def vstar(directory: Path, *rows: Any) -> Path:
    """craigwu/vstar_bench: questions, and images with annotations of the same stem beside them."""
    annotations = {
        "direct_attributes/sa_4690": {
            "target_object": ["glove"],
            "bbox": [[16, 12, 8, 6]],
            "question": "What is the material of the glove?",
            "options": ["The glove is made of rubber.", "The glove is made of cotton."],
        },
        "relative_position/sa_2.1": {"target_object": ["dog", "cat"], "bbox": [[0, 0, 32.0, 48], [32, 24, 32, 24]]},
        "direct_attributes/no_boxes": None,
    }
    for stem, annotation in annotations.items():
        path = directory / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
        if annotation:
            path.with_suffix(".json").write_text(json.dumps(annotation))
    write_lines(directory / "test_questions.jsonl", *rows)
    return directory


HRBENCH_COLUMNS = ("index", "question", "answer", "category", "A", "B", "C", "D", "cycle_category", "image")


def hrbench_rows() -> list[dict[str, Any]]:
    """Two questions, each four times with its options in cyclic order."""
    rows = []
    questions = (
        ("What is the colour of the \"bus\"?\nLook closely.", "single", ["red", "blue\tgreen", "grey", "black"]),
        ("Which is nearer, the bus or the tram?", "cross", ["the bus", "the tram", "both", "neither"]),
    )  # fmt: skip
    for number, (question, category, options) in enumerate(questions):
        image = base64.b64encode(jpeg(64 + number, 48)).decode()
        for cycle in range(4):
            turned = options[cycle:] + options[:cycle]
            row = {"index": 4 * number + cycle, "question": question, "answer": "ABCD"[-cycle % 4]}
            row |= {"category": category, **dict(zip("ABCD", turned, strict=True))}
            rows.append(row | {"cycle_category": str(cycle), "image": image})
    return rows


def write_tsv(path: Path, rows: list[dict[str, Any]], quoting: int = csv.QUOTE_ALL) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HRBENCH_COLUMNS, dialect="excel-tab", quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
        writer.writeheader()
        writer.writerows(rows)
    return path


def mme_row(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "Question_id": f"perception/remote_sensing/position/{number}",
        "Image": "dota_v2_P7036.png",
        "Text": "Where is the yellow crane in the picture?",
        "Question Type": "Multiple Choice",
        "Answer choices": [
            "(A) In the upper right area of the picture",
            "(B) In the upper left area of the picture",
            "(C) In the lower right area of the picture",
            "(D) In the lower left area of the picture",
            "(E) This image doesn't feature the position.",
        ],
        "Ground truth": "A",
        "Category": "position",
        "Subtask": "Remote Sensing",
        "Task": "Perception",
    }
    return row | changes


def mme(directory: Path, *rows: Any) -> Path:
    """data.zip of yifanzhang114/MME-RealWorld-Lite, unpacked."""
    images = directory / "data" / "imgs"
    images.mkdir(parents=True)
    photo(64, 48).save(images / "dota_v2_P7036.png")
    (directory / "data" / "MME-RealWorld-Lite.json").write_text(json.dumps(rows))
    return directory

"""Rows for TRL 1.16: conversations for its SFTTrainer, prompts for its GRPOTrainer; and how such rows are read.

Every message's content is a list of blocks, `{"type": "text", "text": …}` or the bare placeholder `{"type": "image"}`,
and the images stand in their own column in the order of the placeholders: what `trl.data_utils`
`prepare_multimodal_messages` fills in. The column's strings never decide where an image goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from cof_agent.errors import ConfigError, MissingExtraError, TrajectoryError
from cof_agent.files import parse_json
from cof_agent.images.named_file import is_inside
from cof_agent.learning.exports.conversation import Conversation, Facts, Message, Part, Picture, disorder
from cof_agent.learning.exports.files import ROWS, TABLE

_TEXT = {"dtype": "string", "_type": "Value"}
_MESSAGES = {
    "feature": {"role": _TEXT, "content": {"feature": {"type": _TEXT, "text": _TEXT}, "_type": "List"}},
    "_type": "List",
}
_FACTS = {field.name: _TEXT for field in fields(Facts)}

CONVERSATIONS: dict[str, Any] = {**_FACTS, "messages": _MESSAGES}
"""Columns of a row to imitate, as `datasets` writes them; `images` comes beside them."""

PROMPTS: dict[str, Any] = {
    **{name: type_ for name, type_ in _FACTS.items() if name != "answer"},
    "prompt": _MESSAGES,
    "options": {"feature": _TEXT, "_type": "List"},
    "profile": _TEXT,
    "config": _TEXT,
}
"""Columns of a prompt, which says nothing of what a policy answered.

`images` and `original` come beside them and, where a row of the file may be about several, `other_originals`.
"""


def row_of(conversation: Conversation) -> dict[str, Any]:
    """Everything of a row but its images."""
    return {**asdict(conversation.facts), "messages": blocks_of(conversation.messages)}


def blocks_of(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as TRL takes them."""
    return [{"role": message.role, "content": [_block(part) for part in message.parts]} for message in messages]


def import_trl(path: str | Path) -> Iterator[Conversation]:
    """The conversations of an export for SFT: its directory, its `metadata.jsonl` or a parquet file.

    Raises ConfigError when there is no such export, TrajectoryError, naming file and line (of parquet: row), for a row
    that is no conversation or whose images do not match its placeholders, and MissingExtraError without pyarrow.
    """
    for where, row, directory in read_rows(path):
        try:
            yield _conversation(row, directory)
        except (KeyError, TypeError, ValueError) as error:
            raise TrajectoryError(f"{where} is no conversation: {error}") from error


def read_rows(path: str | Path) -> Iterator[tuple[str, Any, Path]]:
    """The rows of an export for TRL, each with where it stands and the directory that its image files count from.

    Raises as `import_trl` does, but for what is in a row.
    """
    path = Path(path)
    if path.is_dir():
        path = next((path / name for name in (ROWS, TABLE) if (path / name).is_file()), path)
    if not path.is_file():
        raise ConfigError(f"{path} has neither {ROWS} nor {TABLE}: name what `export --to trl` has written")
    for where, row in _table(path) if path.suffix == ".parquet" else _lines(path):
        yield where, row, path.parent


def messages_of(blocks: Any, row: Any, directory: Path) -> tuple[Message, ...]:
    """What `blocks_of` made of messages, with the images of their row. Raises ValueError where the two do not fit."""
    held = row["images"] if "images" in row else row["images_file_names"]
    pictures = iter([picture_of(image, directory) for image in held])
    messages = tuple(_message(message, pictures) for message in blocks)
    if next(pictures, None):
        raise ValueError(f"its {len(held)} images are more than its placeholders")
    return messages


def picture_of(image: Any, directory: Path) -> Picture:
    """An image of a row: a file beside the rows, or a cell of a table. Raises ValueError for one that is elsewhere."""
    if isinstance(image, dict):
        data, name = image["bytes"], image["path"]
        if not isinstance(data, bytes):
            raise ValueError(f"an image without its bytes, only the name {name!r:.80}")
        return Picture(data, PurePosixPath(str(name)).suffix)
    path = PurePosixPath(image)
    if path.is_absolute() or ".." in path.parts or not is_inside(directory / path, directory):
        raise ValueError(f"the image {image!r} is outside of its directory")
    return Picture(directory / path, path.suffix)


def _block(part: Part) -> dict[str, str]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield f"{path} line {number}", parse_json(line)
                except ValueError as error:
                    raise TrajectoryError(f"{path} line {number} is not JSON ({error}): export it again") from error
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read ({error.strerror or error}): check the file") from error


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError.for_extra("eval", f"reading {path.name}") from error
    try:
        file = parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise TrajectoryError(f"{path} cannot be read as parquet ({error}): export it again") from error
    with file:
        number = 0
        batches = file.iter_batches(batch_size=8)
        while rows := _next_rows(path, batches):
            for row in rows:
                number += 1
                yield f"{path} row {number}", row


def _next_rows(path: Path, batches: Iterator[Any]) -> list[Any]:
    """The rows of the next batch that has any; none at the end."""
    try:
        return next(filter(None, (batch.to_pylist() for batch in batches)), [])
    except Exception as error:  # pyarrow's errors, those of the system, and values that Python has not
        raise TrajectoryError(f"{path} is damaged ({error}): export it again") from error


def _conversation(row: Any, directory: Path) -> Conversation:
    if not isinstance(row, dict) or "messages" not in row:
        raise ValueError("it has no messages (prompts for reinforcement learning are read with --to trl-grpo)")
    messages = messages_of(row["messages"], row, directory)
    if why := disorder(messages):
        raise ValueError(why)
    return Conversation(messages, Facts.of(row, row["id"]))


def _message(message: Any, pictures: Iterator[Picture]) -> Message:
    return Message(message["role"], tuple(_part(block, pictures) for block in message["content"]))


def _part(block: Any, pictures: Iterator[Picture]) -> Part:
    if block["type"] == "text":
        if not isinstance(block["text"], str):
            raise ValueError(f"a block of text without text: {block!r:.80}")
        return block["text"]
    if block["type"] != "image":
        raise ValueError(f"a block of type {block['type']!r}: there are text and image")
    picture = next(pictures, None)
    if picture is None:
        raise ValueError("it has more placeholders than images")
    return picture

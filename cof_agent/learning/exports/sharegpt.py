"""Conversations in the ShareGPT layout as LLaMA-Factory reads it, which the published data of Chain-of-Focus have.

`xintongzhang/CoF-SFT-Data-5.4k` is one JSON array, `cof_sft_data.json`, of rows `{"messages": [{"role", "content"}],
"images": […]}`: a system turn with the tool inside `<tools></tools>`, then user and assistant in turns, `<image>` in a
user turn for each image, image paths from the folder of images. So its users describe it, and its entry in
`configs/dataset_info.json` of xtong-zhang/Chain-of-Focus@638b9bab2028d4cbf390ed6e63d7b54a0ad5c60f (`formatting`
sharegpt, columns `messages` and `images`, tags role, content, system, user and assistant). Read as well: image entries
`{"image": PATH}`, one path in place of a list, `image` in place of `images`, a leading `./`, JSON lines, and
`conversations` with `from` and `value` (human, gpt, system).

Rows of ours have, in columns that LLaMA-Factory passes over, what is known of them: see `Facts`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from langchain_core.messages import AIMessage

from cof_agent.dialects.registry import get_dialect
from cof_agent.errors import ConfigError, ImageError, TrajectoryError
from cof_agent.files import json_line, parse_json
from cof_agent.images.display_name import show_source
from cof_agent.images.named_file import NamedFileError, named_file
from cof_agent.images.opening import open_image
from cof_agent.learning.collecting.candidate import Looks
from cof_agent.learning.exports.conversation import (
    Conversation,
    Facts,
    Malformed,
    Message,
    Part,
    Picture,
    Role,
    disorder,
)
from cof_agent.learning.exports.files import PICTURES, PictureFolder

DATA = "sharegpt.json"
INFO = "dataset_info.json"
PLACEHOLDER = "<image>"

_SPACE = re.compile(r"[ \t\r\n]*")

_ROLES: dict[str, Role] = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
}  # fmt: skip
_DATASET_INFO = {
    "cof": {
        "file_name": DATA,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "system_tag": "system",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
}


class ShareGptFile:
    """Writes one JSON array of rows, the pictures beside it, and what LLaMA-Factory wants to know about it."""

    def __init__(self, directory: Path) -> None:
        self._pictures = PictureFolder(directory / PICTURES)
        (directory / INFO).write_text(json.dumps(_DATASET_INFO, indent=2) + "\n", encoding="utf-8")
        self._file = (directory / DATA).open("wb")
        self._rows = 0

    def __enter__(self) -> ShareGptFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._file.write(b"]\n" if self._rows else b"[]\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def add(self, conversation: Conversation) -> None:
        """One more row. Raises TrajectoryError for texts that say `<image>`, which would be taken for an image."""
        if any(PLACEHOLDER in message.text for message in conversation.messages):
            raise TrajectoryError(f"a text says {PLACEHOLDER}, which this layout takes for an image: export it to trl")
        messages = [
            {
                "role": message.role,
                "content": "".join(part if isinstance(part, str) else PLACEHOLDER for part in message.parts),
            }
            for message in conversation.messages
        ]
        images = list(self._pictures.add(conversation.images))
        row = {"messages": messages, "images": images, **asdict(conversation.facts)}
        self._file.write((b"," if self._rows else b"[") + json_line(row))
        self._rows += 1


def read_sharegpt(path: str | Path, images: str | Path | None = None) -> Iterator[Conversation | Malformed]:
    """The conversations of a file, JSON or JSON lines, and the rows of it that are none, or that have no answer.

    A directory stands for the one file that its `dataset_info.json` names. Image paths count from `images`, else from
    the file's folder or its folder `images`; those that lead elsewhere are refused. Every image is opened once, to see
    that it is one. Raises ConfigError for a file that cannot be read and TrajectoryError, naming the line, for an array
    that breaks off.
    """
    path = _data_of(Path(path))
    root, folders = (Path(images), [""]) if images else (path.parent, ["", PICTURES])
    for number, (line, value) in enumerate(_values(path), start=1):
        where = f"{path} row {number} (line {line})"
        try:
            if isinstance(value, ValueError):
                raise value
            yield _conversation(value, lambda name: named_file(name, root, folders), f"{path.stem}-{number}")
        except (ImageError, ValueError, OSError) as error:  # OSError: a name too long for a file
            yield Malformed(where, str(error))


def _data_of(path: Path) -> Path:
    """The file itself, or the one that LLaMA-Factory would read in a directory."""
    if not path.is_dir():
        return path
    try:
        known = parse_json((path / INFO).read_bytes())
        (name,) = {str(entry["file_name"]) for entry in known.values()}
        return named_file(name, path)
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} has no {INFO} that names one file of rows ({error}): name the file itself"
        ) from error


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows with the line, from 1, on which each begins; an error in place of one that is not JSON."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8: {error}") from error
    if text.lstrip()[:1] == "[":
        yield from _array(path, text)
        return
    try:
        yield 1, parse_json(text)  # a row by itself, over however many lines
        return
    except ValueError:
        pass
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(line)
            except ValueError as error:
                yield number, ValueError(f"it is not JSON: {error}")


def _array(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder()
    at, line, due = 0, 1, "["
    while True:
        start = _after_space(text, at)
        line += text.count("\n", at, start)
        if text[start : start + 1] not in due or start == len(text):
            break
        if text[start] == "]":
            if _after_space(text, start + 1) < len(text):
                break
            return
        at = _after_space(text, start + 1)
        line += text.count("\n", start, at)
        if due == "[" and text[at : at + 1] == "]":
            due = "]"
            continue
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise TrajectoryError(f"{path} line {line}: the array breaks off here ({error}): get it again") from error
        yield line, value
        line += text.count("\n", at, end)
        at, due = end, ",]"
    raise TrajectoryError(f"{path} line {line}: the array does not go on or end here as JSON does: get it again")


def _after_space(text: str, at: int) -> int:
    """Position of the first character from `at` on that is no white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _conversation(row: Any, find: Callable[[str], Path], id_: str) -> Conversation:
    if not isinstance(row, dict):
        raise ValueError(f"a row is a JSON object, not {type(row).__name__}")
    if row.get("tools"):
        raise ValueError("it has tools of its own: they belong in the system turn's text")
    said = row.get("messages", row.get("conversations"))
    if not isinstance(said, list):
        raise ValueError("it has neither a list of messages nor one of conversations")
    entries = row.get("images", row.get("image")) or []
    if isinstance(entries, str):
        entries = [entries]
    if not isinstance(entries, list):
        raise ValueError(f"images are a list of paths, not {entries!r:.80}")
    spoken = [_spoken(turn) for turn in said]
    if isinstance(row.get("system"), str) and row["system"]:
        spoken.insert(0, ("system", row["system"]))
    placeholders = sum(text.count(PLACEHOLDER) for _, text in spoken)
    if placeholders != len(entries):
        raise ValueError(f"it has {placeholders} placeholders {PLACEHOLDER} and {len(entries)} images")
    pictures = iter([_picture(entry, find) for entry in entries])
    messages = tuple(Message(role, tuple(_parts(text, pictures))) for role, text in spoken)
    if why := disorder(messages):
        raise ValueError(why)
    shown = [len(message.images) for message in messages if message.role == "user"]
    own = row.get("id")
    facts = Facts.of({"kind": Looks.of(sum(shown[1:])).value} | row, own if isinstance(own, str) else id_)
    if facts.dialect is None:  # a row of others, which may write calls in any way, but answers as the published ones
        answer = get_dialect("cof").parse(AIMessage(messages[-1].text)).answer
        if answer is None:
            raise ValueError("its last turn has no <answer>")
        facts = replace(facts, answer=answer)
    return Conversation(messages, facts)


def _spoken(turn: Any) -> tuple[Role, str]:
    if not isinstance(turn, dict):
        raise ValueError(f"a turn is a JSON object, not {turn!r:.80}")
    role, text = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or role not in _ROLES:
        raise ValueError(f"a turn of {role!r}: known are {', '.join(_ROLES)}")
    if not isinstance(text, str) or not text:
        raise ValueError(f"a turn of {role} has no text: {text!r:.80}")
    return _ROLES[role], text


def _parts(text: str, pictures: Iterator[Picture]) -> Iterator[Part]:
    first, *others = text.split(PLACEHOLDER)
    if first:
        yield first
    for other in others:
        yield next(pictures)
        if other:
            yield other


def _picture(entry: Any, find: Callable[[str], Path]) -> Picture:
    name = entry.get("image", entry.get("path")) if isinstance(entry, dict) else entry
    if not isinstance(name, str) or not name:
        raise ValueError(f"an image is named by its path, not by {entry!r:.80}")
    try:
        path = find(name)
    except NamedFileError as error:
        raise ValueError(f"the image {show_source(name)!r} {error} (images= names that folder)") from None
    open_image(path)
    return Picture(path, path.suffix.lower())

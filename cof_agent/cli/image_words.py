"""The words of a command that name images, and the one that is the question."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from typing import TypeVar

from cof_agent.cli.standard_input import STANDARD_INPUT
from cof_agent.errors import ConfigError
from cof_agent.images.display_name import show_source

Given = TypeVar("Given")

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:\S", re.I)
_FILE_NAME = re.compile(r".*[^\s?!.]\.[a-z]{2,5}(?:#\w+=\w+)?", re.I | re.S)


def check_words(images: Sequence[str], question: str) -> None:
    """Raise ConfigError where these are not images and then a question: the last word of `ask` is the question."""
    if not images and not question:
        raise ConfigError('the image and the question are missing: cof-agent ask photo.jpg "What does it say?"')
    if not images:
        if _may_be_image(question):
            raise ConfigError(f'the question is missing: cof-agent ask {show_source(question)} "What does it say?"')
        raise ConfigError(f"the image is missing: cof-agent ask photo.jpg {question!r}")
    if _is_image(question):
        raise ConfigError(
            f"the last word is the question, and {show_source(question)} is an image: put the question, in quotes, "
            "behind all images"
        )
    for word in images:
        if len(images) > 1 and not _may_be_image(word):
            raise ConfigError(
                f"ask takes images and then one question, and {word!r:.80} is no image: put the question in quotes"
            )
    if images.count(STANDARD_INPUT) > 1:
        raise ConfigError("standard input holds one image: name it - once, and the others by path or URL")


def one_or_all(images: Sequence[Given]) -> Given | list[Given]:
    """The image, where there is one, and else the list of them."""
    return images[0] if len(images) == 1 else list(images)


def words_of(line: str) -> list[str]:
    """The images that a typed line names: one whose name may have blanks, or several, with quotes around such names."""
    if os.path.exists(os.path.expanduser(line)):
        return [os.path.expanduser(line)]
    try:
        words = shlex.split(line)
    except ValueError:
        words = [line]
    return [os.path.expanduser(word) for word in (words if all(map(_may_be_image, words)) else [line])]


def _is_image(word: str) -> bool:
    return bool(_ADDRESS.match(word)) or (os.path.isfile(word) and not word.rstrip().endswith("?"))


def _may_be_image(word: str) -> bool:
    """Whether `word` names an image, there or not: a question that lacks its quotes seldom has such words."""
    return (
        word == STANDARD_INPUT
        or _is_image(word)
        or os.path.exists(word)
        or os.sep in word
        or bool(_FILE_NAME.fullmatch(word))
    )

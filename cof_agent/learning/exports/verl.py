"""Rows for verl 0.9, as its `RLHFDataset` reads them, for the agent loop in `training/verl`.

The loop shows the images itself, so a row names the files of the originals and holds no images. Its prompt is the
question alone, for verl's own records.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from cof_agent.learning.exports.files import PICTURES, PictureFolder, TableFile
from cof_agent.learning.exports.prompts import OTHERS, Prompt

LOOP = "chain_of_focus"
"""The name of the agent loop in verl's configuration."""
NOBODY = "cof-agent"
"""The source of rows whose benchmark nobody wrote down."""

_TEXT = {"dtype": "string", "_type": "Value"}
COLUMNS: dict[str, Any] = {
    "data_source": _TEXT,
    "agent_name": _TEXT,
    "prompt": {"feature": {"role": _TEXT, "content": _TEXT}, "_type": "List"},
    "reward_model": {"style": _TEXT, "ground_truth": _TEXT},
    "extra_info": {
        "id": _TEXT,
        "question": _TEXT,
        "category": _TEXT,
        "options": {"feature": _TEXT, "_type": "List"},
        "original": _TEXT,
        "profile": _TEXT,
        "config": _TEXT,
    },
}
"""As `datasets` writes them. `original` is an absolute path."""


class VerlFile:
    """A parquet file beside a folder of originals, both in `directory`, which will stand at `home`.

    With `several` its `extra_info` has `other_originals` too: of several images the paths of those after the first.
    """

    def __init__(self, directory: Path, home: Path, *, several: bool = False) -> None:
        others = {OTHERS: {"feature": _TEXT, "_type": "List"}} if several else {}
        self._table = TableFile(directory, COLUMNS | {"extra_info": COLUMNS["extra_info"] | others}, ())
        self._several = several
        self._pictures = PictureFolder(directory / PICTURES)
        self._home = home

    def __enter__(self) -> VerlFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)

    def add(self, prompt: Prompt) -> None:
        """One more row. Raises ImageError, and adds none, when the original cannot be read."""
        original, *others = (str(self._home / path) for path in self._pictures.add(prompt.originals))
        facts, row = prompt.facts, prompt.row
        self._table.add(
            {
                "data_source": facts.benchmark or NOBODY,
                "agent_name": LOOP,
                "prompt": [{"role": "user", "content": facts.question}],
                "reward_model": {"style": "rule", "ground_truth": facts.truth},
                "extra_info": {
                    **{name: row[name] for name in ("id", "question", "category", "options", "profile", "config")},
                    "original": original,
                    **({OTHERS: others} if self._several else {}),
                },
            },
            {},
        )

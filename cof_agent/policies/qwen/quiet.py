"""transformers without its progress bars and reports while it reads or writes a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
from transformers.utils import logging

_LOCK = threading.Lock()
_inside = 0
_restore: Callable[[], None]


@contextmanager
def quietly() -> Iterator[None]:
    """Inside, transformers draws no bars and logs errors only. Its settings are for the whole process: they are as
    they were once the last thread that is inside has left."""
    global _inside, _restore
    with _LOCK:
        _inside += 1
        if _inside == 1:
            _restore = _silence()
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _restore()


def _silence() -> Callable[[], None]:
    """Returns what undoes it."""
    level, bars, no_downloads = logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if bars:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    def restore() -> None:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # and, with it, those of downloads
            if no_downloads:
                disable_progress_bars()

    return restore

"""The page of a tokenizer that is already made stays as it was."""

from __future__ import annotations

import hashlib

from training.tiny_pretrain.page import page


def test_the_page_is_the_one_that_the_tokenizer_was_made_from() -> None:
    assert hashlib.sha256(page().encode()).hexdigest()[:16] == "5240ad2113d2cd29"

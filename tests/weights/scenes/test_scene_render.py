"""Scenes as a reader sees them that knows nothing of them."""

from __future__ import annotations

import numpy as np
from rapidocr import RapidOCR

from cof_agent.scenes.background import Background
from cof_agent.scenes.render import render
from cof_agent.scenes.scene import CHARACTERS, COLOURS, Scene, SceneObject


def test_an_ocr_reads_the_characters() -> None:
    """Our strokes are no font's; a reader that knows nothing of them must tell which character is meant."""
    reader = RapidOCR(params={"Global.log_level": "error"})
    things = [
        SceneObject("square", colour, character, 0.5, 0.5, 0.9)
        for character, colour in zip(CHARACTERS, COLOURS * 3, strict=False)
    ]
    wrong = []
    for thing in things:
        scene = Scene(0, 1.0, 1.0, Background.plain((128, 128, 128)), (thing,))
        ink = np.asarray(render(scene, (64, 64), (0.2, 0.2, 0.8, 0.8)))
        found = reader(ink, use_det=False, use_cls=False, use_rec=True)
        if (found.txts or ("",))[0].strip().upper() != thing.character:
            wrong.append((thing.character, found.txts))
    assert len(wrong) <= 2, wrong

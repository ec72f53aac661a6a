"""What a host's model is told about close looking; the same words at every host."""

from __future__ import annotations

LOOK = (
    "Answers a question about an image. It zooms by itself into whatever is too small to make out, so give it "
    "the whole image in full size. Says so when the image cannot answer the question."
)

QUESTION = "one question about the image"

NO_IMAGE = "there is no image: pass its path or URL, or ask for one to be sent"
NO_QUESTION = f"there is no question: pass {QUESTION}"

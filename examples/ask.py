"""Ask a photo a question: `python examples/ask.py [IMAGE QUESTION]` (needs the extra `reader`)."""

import sys
from pathlib import Path

from cof_agent import ChainOfFocus

PHOTO = Path(__file__).parent / "images" / "motorcycle.jpg"

image, question = sys.argv[1:] or (PHOTO, "Does the motorcycle say Yamaha?")
result = ChainOfFocus(policy="reader").ask(image, question)
print(result.answer or f"{result.status}: {result.message}")
for item in result.evidence:
    print(f"{item.source}: {list(item.box)} of the photo, seen in view {item.view} of {len(result.views)}")

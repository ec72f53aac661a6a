"""Make a scene and ask the policy `tiny` about it (needs the extras `eval` and `local`; nothing is downloaded).

`python examples/ask_tiny.py [NUMBER FILE]`: the scene's number in the test split, and where the picture goes, with the
zooms drawn on it. The answer may be wrong.
"""

import sys

from PIL import ImageDraw

from cof_agent import ChainOfFocus, load_policy
from cof_agent.scenes.question import scene_question
from cof_agent.scenes.render import render
from cof_agent.scenes.split import Split

if len(sys.argv) not in (1, 3):
    sys.exit("give both, the scene's NUMBER and the FILE that the picture goes to, or neither")
number, file = sys.argv[1:] or (3, "asked-tiny.png")
question = scene_question(Split.TEST, int(number))
picture = render(question.scene, question.scene.size(896))
result = ChainOfFocus(load_policy("tiny", device="cpu", max_new_tokens=200)).ask(picture, question.text)
pen = ImageDraw.Draw(picture)
for view in result.views[1:]:
    pen.rectangle(view.box.as_list(), outline="red", width=3)
    pen.text((view.box.x1 + 6, view.box.y1 + 4), str(view.index), fill="red", font_size=20)
picture.save(file)
print(question.text)
print(
    f"tiny: {result.answer or result.status} (true: {question.answer}); {len(result.views) - 1} zooms drawn in {file}"
)

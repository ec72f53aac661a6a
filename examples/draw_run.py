"""Draw a run as one picture (needs the extra `reader`): `python examples/draw_run.py [IMAGE QUESTION FILE]`

The photo with the regions that were looked at, each region as the policy saw it, the thoughts, and the answer.
"""

import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cof_agent import ChainOfFocus, FocusResult, ViewEvent

PHOTO = Path(__file__).parent / "images" / "motorcycle.jpg"
BRAND = "Which brand is the motorcycle? (A) Honda (B) Suzuki (C) Yamaha (D) Kawasaki"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart with any eyes
INK, GREY, GAP, COLUMNS = "#1b1f24", "#57606a", 24, 3
PHOTO_SIZE, VIEW_SIZE, WIDTH = (760, 520), (396, 270), 1284


def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def lines(text: str, size: int, width: int) -> str:
    return textwrap.fill(text, int(width / (0.5 * size)))


def marked(photo: Image.Image, views: list[ViewEvent]) -> Image.Image:
    """The photo with a numbered box for each region."""
    picture = ImageOps.contain(photo, PHOTO_SIZE)
    pen, scale = ImageDraw.Draw(picture), picture.width / photo.width
    for event in views:
        view, colour = event.view, COLOURS[(event.view.index - 1) % len(COLOURS)]
        x1, y1, x2, y2 = (round(side * scale) for side in view.box.as_list())
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=4)
        pen.rectangle((x1, y1, x1 + 26, y1 + 30), fill=colour)
        pen.text((x1 + 7, y1 + 2), str(view.index), "white", font(22))
    return picture


def card(event: ViewEvent, result: FocusResult) -> Image.Image:
    """A region as the policy saw it, in the colour of its box."""
    view, colour = event.view, COLOURS[(event.view.index - 1) % len(COLOURS)]
    picture = Image.new("RGB", (VIEW_SIZE[0], VIEW_SIZE[1] + 62), "white")
    shown = ImageOps.expand(ImageOps.contain(result.view_image(view.index), VIEW_SIZE), 4, colour)
    picture.paste(shown.resize((shown.width - 8, shown.height - 8)), (0, 0))
    pen = ImageDraw.Draw(picture)
    pen.text((0, VIEW_SIZE[1] + 4), f"{view.kind} {view.index}: {view.label or ''}", colour, font(22))
    size = f"{list(view.box.as_list())} shown at {view.shown[0]}x{view.shown[1]}"
    pen.text((0, VIEW_SIZE[1] + 34), size, GREY, font(18))
    return picture


def draw(photo: Image.Image, question: str, views: list[ViewEvent], result: FocusResult) -> Image.Image:
    """Photo and thoughts above, regions below, the answer last."""
    looks = views[1:]
    rows = -(-len(looks) // COLUMNS)
    below = PHOTO_SIZE[1] + 2 * GAP
    height = below + rows * (VIEW_SIZE[1] + 62 + GAP) + 88
    page = Image.new("RGB", (WIDTH, height), "white")
    page.paste(marked(photo, looks), (GAP, GAP))
    pen = ImageDraw.Draw(page)
    left, top, width = PHOTO_SIZE[0] + 2 * GAP, GAP, WIDTH - PHOTO_SIZE[0] - 3 * GAP
    for text, size, colour in [
        (question, 25, INK),
        *((f"{event.view.index}  {event.thought}", 21, COLOURS[(event.view.index - 1) % 6]) for event in looks),
    ]:
        paragraph = lines(text, size, width)
        pen.multiline_text((left, top), paragraph, colour, font(size), spacing=6)
        top = pen.multiline_textbbox((left, top), paragraph, font(size), spacing=6)[3] + GAP
    for number, event in enumerate(looks):
        row, column = divmod(number, COLUMNS)
        page.paste(card(event, result), (GAP + column * (VIEW_SIZE[0] + GAP), below + row * (VIEW_SIZE[1] + 62 + GAP)))
    pen.text((GAP, height - 88), result.reply, INK, font(34))
    proof = "; ".join(f"{list(item.box)} of the photo, seen in view {item.view}" for item in result.evidence)
    pen.text((GAP, height - 40), f"evidence: {proof or 'none'}", GREY, font(20))
    return page


if __name__ == "__main__":
    if len(sys.argv) not in (1, 4):
        sys.exit("give all three, the IMAGE, the QUESTION and the FILE that the picture goes to, or none")
    image, question, file = sys.argv[1:] or (PHOTO, BRAND, "run.png")
    *views, result = ChainOfFocus("reader").stream(image, question)
    with Image.open(image) as photo:
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    draw(upright, question, views, result).quantize(192).save(file, optimize=True)
    print(f"{result.reply}; {len(views) - 1} zooms drawn in {file}")

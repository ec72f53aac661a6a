"""RapidOCR behind a small surface: lines of text with their boxes in the pixels of one view.

The models are loaded once per process and used by one thread at a time. Results are cached by the view's bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cof_agent.errors import MissingExtraError, PolicyError
from cof_agent.images.geometry import Corners, Size

if TYPE_CHECKING:
    from PIL.Image import Image

THREADS = 2
CACHED_READINGS = 64
CACHED_PICTURES = 12
TILE_OVERLAP = 0.08
"""Tiles of the deep pass share this part of the view's sides."""

CLEAR, CLEAR_HEIGHT = 0.97, 20.0
"""The deep pass does not read again what has this confidence and height in view pixels."""
EDGE, EDGES = 24, 0.0005
"""The deep pass skips tiles in which fewer than this part of neighbouring pixels differ by so many grey levels."""

_SETTINGS: dict[str, Any] = {
    "Global.log_level": "critical",
    "Global.use_cls": False,  # upright text is expected; short numbers read upside down too
    "Global.text_score": 0.0,  # doubtful lines are where to look closer
    "Global.max_side_len": 4096,
    "Det.thresh": 0.3,
    "Det.box_thresh": 0.3,  # a faint response is worth a look too
    "Rec.rec_batch_num": 4,
    "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

_K = TypeVar("_K")
_V = TypeVar("_V")
Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text as it was read."""

    text: str
    confidence: float
    """Mean probability of its characters, 0.0 to 1.0."""
    quad: Quad
    """Corners in view pixels: top left, top right, bottom right, bottom left of the text, which may be tilted."""
    words: tuple[tuple[str, Corners], ...] = ()
    """Of a page's own text: its words and their boxes in view pixels. Empty for a line that was read by OCR."""
    leaves: bool = False
    """Of a page's own text: whether it goes on outside of the view."""

    @property
    def box(self) -> Corners:
        """The upright box around it, in view pixels."""
        return _around(self.quad)

    @property
    def height(self) -> float:
        """Height of the text in view pixels: the side across the direction of reading."""
        (a, b, c, d) = self.quad
        along = (math.dist(a, b) + math.dist(d, c)) / 2
        across = (math.dist(a, d) + math.dist(b, c)) / 2
        return along if across > 1.5 * along and len(self.text) > 2 else across


class TextReader:
    """Reads views. Use `shared_reader`, not an instance of your own: loading takes about a second."""

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise MissingExtraError.for_extra("reader", "the policy `reader`") from error
        self._engine: Any = RapidOCR(params=_SETTINGS)  # what a call returns depends on its flags
        self._lock = threading.Lock()
        self._readings: OrderedDict[tuple[str, int], tuple[Line, ...]] = OrderedDict()
        self._pictures: OrderedDict[str, Image] = OrderedDict()

    def load(self) -> None:
        """Load the models, which RapidOCR does at their first use."""
        import numpy as np

        blank = np.full((64, 128, 3), 255, np.uint8)
        with self._lock:
            self._engine(blank, use_det=True, use_cls=False, use_rec=False)
            self._recognised(blank)

    def picture(self, data: bytes) -> Image:
        """The decoded view, RGB. Raises PolicyError when it is no image."""
        from PIL import Image

        from cof_agent.images.codecs.flattening import flatten

        key = hashlib.sha256(data).hexdigest()
        with self._lock:
            if key not in self._pictures:
                try:
                    with Image.open(io.BytesIO(data)) as opened:
                        self._pictures[key] = flatten(opened).convert("RGB")
                except OSError as error:
                    raise PolicyError(f"a view of {len(data)} bytes is not an image: {error}") from error
            return _touch(self._pictures, key, CACHED_PICTURES)

    def read(self, data: bytes, *, enlarge: int = 1) -> tuple[Line, ...]:
        """Lines of the encoded view, in view pixels.

        `enlarge` 1 reads the view as it is. `enlarge` 2 is the deep pass: the view in four overlapping tiles, each at
        twice its size, which finds and reads smaller text in four times the work. It leaves out lines that the view as
        it is shows large and clear.
        """
        key, picture = (hashlib.sha256(data).hexdigest(), enlarge), self.picture(data)
        plain = self.read(data) if enlarge > 1 else ()
        with self._lock:
            if key not in self._readings:
                self._readings[key] = self._tiled(picture, enlarge, plain) if enlarge > 1 else self._whole(picture)
            return _touch(self._readings, key, CACHED_READINGS)

    def line(self, picture: Any) -> tuple[str, float]:
        """Read one line of text that fills `picture` (RGB pixels, uint8): the text and its confidence, 0.0 to 1.0."""
        with self._lock:
            return self._recognised(picture)

    def _whole(self, picture: Image) -> tuple[Line, ...]:
        import numpy as np

        found = self._engine(np.asarray(picture)[:, :, ::-1], use_det=True, use_cls=False, use_rec=True)
        boxes, texts, scores = (getattr(found, name, None) for name in ("boxes", "txts", "scores"))
        if boxes is None or texts is None or scores is None:
            return ()
        return tuple(
            Line(text.strip(), round(float(score), 4), _quad(corners))
            for corners, text, score in zip(boxes, texts, scores, strict=True)
            if text.strip()
        )

    def _tiled(self, picture: Image, enlarge: int, plain: Sequence[Line]) -> tuple[Line, ...]:
        import numpy as np
        from PIL import Image

        done = [line.box for line in plain if line.confidence >= CLEAR and line.height >= CLEAR_HEIGHT]
        lines: list[Line] = []
        for x1, y1, x2, y2 in _tiles(picture.size):
            part, size = picture.crop((x1, y1, x2, y2)), ((x2 - x1) * enlarge, (y2 - y1) * enlarge)
            if _flat(part):
                continue
            tile = part.resize(size, Image.Resampling.LANCZOS)
            found = self._engine(np.asarray(tile)[:, :, ::-1], use_det=True, use_cls=False, use_rec=False)
            for corners in () if found.boxes is None else found.boxes:
                quad = _quad(corners)
                left, top, right, bottom = _around(quad)
                cut = (
                    (x1 > 0 and left <= 4)
                    or (y1 > 0 and top <= 4)
                    or (x2 < picture.width and right >= size[0] - 4)
                    or (y2 < picture.height and bottom >= size[1] - 4)
                )
                a, b, c, d = [(x / enlarge + x1, y / enlarge + y1) for x, y in quad]
                if cut or any(_alike(_around((a, b, c, d)), box) for box in done):
                    continue
                text, confidence = self._line(tile, quad)
                if text:
                    lines.append(Line(text, confidence, (a, b, c, d)))
                    done.append(lines[-1].box)
        return tuple(lines)

    def _line(self, tile: Image, quad: Quad) -> tuple[str, float]:
        """Read the one line inside `quad`."""
        import numpy as np
        from PIL import Image

        a, b, c, d = quad
        width = max(1, round(max(math.dist(a, b), math.dist(d, c))))
        height = max(1, round(max(math.dist(a, d), math.dist(b, c))))
        corners = [side for corner in (a, d, c, b) for side in corner]
        cut = tile.transform((width, height), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
        if height >= 1.5 * width:
            cut = cut.transpose(Image.Transpose.ROTATE_90)
        return self._recognised(np.asarray(cut))

    def _recognised(self, picture: Any) -> tuple[str, float]:
        found = self._engine(picture[:, :, ::-1], use_det=False, use_cls=False, use_rec=True)
        if not found.txts or found.scores is None:
            return "", 0.0
        return found.txts[0].strip(), round(float(found.scores[0]), 4)


def _tiles(size: Size) -> list[tuple[int, int, int, int]]:
    """Four overlapping tiles, or the whole where it is small."""
    width, height = size
    if width * height <= 400_000:
        return [(0, 0, width, height)]
    wide, high = round(width * (0.5 + TILE_OVERLAP)), round(height * (0.5 + TILE_OVERLAP))
    return [(x, y, x + wide, y + high) for y in (0, height - high) for x in (0, width - wide)]


def _flat(part: Image) -> bool:
    """Whether there is nothing in it that could be text, as in a clear sky."""
    import numpy as np

    grey = np.asarray(part.convert("L"), dtype=np.int16)
    return grey.shape[1] < 2 or float((np.abs(np.diff(grey, axis=1)) > EDGE).mean()) < EDGES


def _around(quad: Quad) -> Corners:
    """The upright box around `quad`."""
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)


def _alike(a: Corners, b: Corners) -> bool:
    """Whether two boxes are of the same line: most of each lies in the other."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    larger = max((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width > 0 and height > 0 and width * height > 0.7 * larger


def _quad(corners: Any) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d


def _touch(cache: OrderedDict[_K, _V], key: _K, keep: int) -> _V:
    """The entry, now the newest; the oldest beyond `keep` go."""
    cache.move_to_end(key)
    value = cache[key]
    while len(cache) > keep:
        cache.popitem(last=False)
    return value


_shared: TextReader | None = None
_loading = threading.Lock()


def shared_reader() -> TextReader:
    """The process's one reader, loaded at the first call. Raises MissingExtraError without the extra `reader`."""
    global _shared
    with _loading:
        if _shared is None:
            _shared = TextReader()
        return _shared


def decode_base64(text: str) -> bytes:
    """Bytes of a base64 string. Raises PolicyError when it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise PolicyError(f"a view is not base64: {error}") from error

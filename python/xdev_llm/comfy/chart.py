"""The chart of a comparison: for each model a row, with a bar for each of its figures.

It is drawn with Pillow at twice its size and made smaller, in greys that fit light and dark pages. Text is never cut: what
has no room is shortened in the middle. Not here: what the figures are (`nodes.llm_compare`).
"""

import functools
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

WIDTH = 1024
# What is drawn is so much larger than what is given.
SCALE = 2
MARGIN = 28
NAMES = 260
GAP = 26
HEAD = 84
COLUMN_HEAD = 52
ROW = 48
FOOT = 20
BAR = 16

PAPER = (38, 40, 44)
LINE = (62, 65, 71)
INK = (232, 233, 236)
FAINT = (158, 162, 170)
BAR_INK = (112, 128, 150)
BEST_INK = (86, 171, 138)
FAILED_INK = (229, 133, 126)

# Fonts with letters that Pillow's own has not, by the names of their files: Linux, Windows, macOS.
_WIDER_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansCJKjp-Regular.otf", "NotoSansSC-Regular.otf",
    "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf",
    "msyh.ttc", "simsun.ttc", "meiryo.ttc", "malgun.ttf", "seguisym.ttf",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "AppleSDGothicNeo.ttc", "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)  # fmt: skip
# No font has a picture of this.
_NOTHING = "\U0010fffe"


@dataclass(frozen=True)
class Row:
    """`Row` is a model with its figures, None where one is not known; or with the reason why it has none."""

    name: str
    server: str = ""
    first_token: float | None = None
    speed: float | None = None
    tokens: int | None = None
    is_estimated: bool = False
    failure: str = ""


@dataclass(frozen=True)
class Column:
    """`Column` is one figure of all models; `best` picks the one that stands out, and `form` writes a value."""

    field: str
    title: str
    unit: str
    form: str
    best: object = None


COLUMNS = (
    Column("first_token", "Time to first token", "seconds, shorter is better", "{:.2f} s", min),
    Column("speed", "Speed", "tokens/s, longer is better", "{:.1f}", max),
    Column("tokens", "Length of the answer", "tokens", "{:,}"),
)


def draw(rows, title, subtitle):
    """Draws the chart, as a picture of Pillow's."""
    canvas = _Canvas(HEAD + COLUMN_HEAD + ROW * len(rows) + FOOT)
    room = WIDTH - 2 * MARGIN
    canvas.text(MARGIN, 34, title, 24, INK, room)
    canvas.text(MARGIN, 66, subtitle, 14, FAINT, room)
    width = (room - NAMES - len(COLUMNS) * GAP) / len(COLUMNS)
    top = HEAD + COLUMN_HEAD
    for number, row in enumerate(rows):
        _draw_name(canvas, row, top + number * ROW)
    for place, column in enumerate(COLUMNS):
        _draw_column(canvas, column, rows, MARGIN + NAMES + GAP + place * (width + GAP), width)
    return canvas.finished()


def _draw_name(canvas, row, top):
    middle = top + ROW / 2
    canvas.line(top)
    canvas.text(MARGIN, middle - (9 if row.server else 0), row.name, 16, INK, NAMES)
    if row.server:
        canvas.text(MARGIN, middle + 11, row.server, 12, FAINT, NAMES)
    if row.failure:
        left = MARGIN + NAMES + GAP
        canvas.text(left, middle, row.failure, 14, FAILED_INK, WIDTH - MARGIN - left)


def _draw_column(canvas, column, rows, left, width):
    canvas.text(left, HEAD + 14, column.title, 14, INK, width)
    canvas.text(left, HEAD + 34, column.unit, 12, FAINT, width)
    values = [getattr(row, column.field) for row in rows if not row.failure]
    known = [value for value in values if value is not None]
    best = column.best(known) if column.best and len(set(known)) > 1 else None
    labels = {id(row): _label(column, row) for row in rows if not row.failure}
    room = width - 8 - max((canvas.length(label, 14) for label in labels.values()), default=0)
    for number, row in enumerate(rows):
        if row.failure:
            continue
        value, middle = getattr(row, column.field), HEAD + COLUMN_HEAD + (number + 0.5) * ROW
        length = room * value / max(known) if value and max(known) > 0 else 0
        is_best = value is not None and value == best
        canvas.bar(left, middle, length, BEST_INK if is_best else BAR_INK)
        ink = FAINT if value is None else BEST_INK if is_best else INK
        canvas.text(left + length + (8 if length else 0), middle, labels[id(row)], 14, ink, width)


def _label(column, row):
    value = getattr(row, column.field)
    if value is None:
        return "not known"
    about = "≈ " if row.is_estimated and column.field != "first_token" else ""
    return about + column.form.format(value)


class _Canvas:
    """`_Canvas` is the picture while it is drawn, in the units of the finished one."""

    def __init__(self, height):
        self._image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self):
        """The picture in its own size."""
        return self._image.reduce(SCALE)

    def length(self, text, size):
        """How wide a text is."""
        text, font = _drawable(text, size)
        return font.getlength(text) / SCALE

    def text(self, left, middle, text, size, ink, room):
        """Writes one line, shortened where the room is too little."""
        text, font = _drawable(" ".join(text.split()), size)
        text = _shortened(text, font, room * SCALE)
        self._draw.text((left * SCALE, middle * SCALE), text, fill=ink, font=font, anchor="lm")

    def line(self, top):
        """Draws a line over the whole width."""
        ends = (MARGIN * SCALE, top * SCALE, (WIDTH - MARGIN) * SCALE - 1, (top + 1) * SCALE - 1)
        self._draw.rectangle(ends, fill=LINE)

    def bar(self, left, middle, length, ink):
        """Draws a bar."""
        if length > 0:
            top, end = middle - BAR / 2, left + max(length, 1)
            place = (left * SCALE, top * SCALE, end * SCALE - 1, (top + BAR) * SCALE - 1)
            self._draw.rectangle(place, fill=ink)


def _shortened(text, font, room):
    """The text, without its middle where it is too long: a model's name differs at both ends."""
    kept = len(text)
    shown = text
    while kept and font.getlength(shown) > room:
        kept -= 1
        head = (kept + 1) // 2
        shown = text[:head] + "…" + text[len(text) - (kept - head) :]
    return shown


def _drawable(text, size):
    """The text and a font that has all its letters. What no font here has is written as its number."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    letters = frozenset(letter for letter in text if not letter.isascii())
    own = _font(None, size)
    if letters <= _known(None, letters):
        return text, own
    for name in _WIDER_FONTS:
        if _font(name, size) is not None and letters <= _known(name, letters):
            return text, _font(name, size)
    known = _known(None, letters)
    escaped = (letter if letter.isascii() or letter in known else letter.encode("unicode_escape").decode() for letter in text)
    return "".join(escaped), own


@functools.lru_cache(maxsize=256)
def _known(name, letters):
    """Those of the letters that a font has a picture of."""
    font = _font(name, 14)
    missing = _picture(font, _NOTHING)
    return frozenset(letter for letter in letters if letter.isspace() or _picture(font, letter) != missing)


def _picture(font, letter):
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=256)
def _font(name, size):
    """Pillow's own font, or the one in a file of this name; None where there is no such file."""
    if name is None:
        return ImageFont.load_default(size * SCALE)
    try:
        return ImageFont.truetype(name, size * SCALE)
    except OSError:
        return None

"""Write names in pictures: wrap them to their room, and choose fonts with their characters."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager, get_font

PRINT_DPI = 200  # the width of letters depends slightly on the resolution
FAMILY = "DejaVu Sans"  # comes with matplotlib
# fonts with other shapes in place of letters, or with a box for every character
NO_TEXT = re.compile(r"Last Resort|^cm\w+10$|^STIX|Display$|Emoji|Symbol|Dingbat|Wingding", re.IGNORECASE)
# words, parts of a word (a line may end after _ - , / ) and between Unicode numbers), characters
PIECES = [
    re.compile(pattern, re.DOTALL)
    for pattern in (r"\S+\s*", r"\\[uUx][0-9a-f]+\s*|[^_\-,/)\\]*[_\-,/)\\]*\s*", r".\s*")
]
MOST_LINES = 8  # of one name; the rest is left out
NO_NAME = "(no name)"
ESCAPED = r"No font on this machine has some characters of the names. They are written as their Unicode numbers, \u...."


def choose_fonts(texts: Iterable[str]) -> list[str]:
    """Return fonts that together have the characters of some texts: matplotlib's own, and installed ones if needed."""
    chosen = [FAMILY]
    missing = {ord(character) for text in texts for character in normalise(text)} - list_characters(FAMILY)
    if missing:
        add_new_fonts()
    while missing:
        numbers = {name: len(missing & list_characters(name)) for name in list_text_fonts()}
        # prefer simplified Chinese among Chinese, Japanese and Korean fonts, because most names use it
        best = max(numbers, key=lambda name: (numbers[name], "Sans" in name, name.endswith(" SC")))
        if not numbers[best]:
            break
        chosen.append(best)
        missing -= list_characters(best)
    return chosen


def list_text_fonts() -> list[str]:
    """Return the font families for text that matplotlib knows, upright and of normal weight and width."""
    upright = (font for font in fontManager.ttflist if font.style == font.stretch == "normal" and font.weight == 400)
    return sorted({FAMILY} | {font.name for font in upright if not NO_TEXT.search(font.name)})


@cache
def add_new_fonts() -> None:
    """Tell matplotlib the fonts that were installed after it wrote its list of fonts."""
    known = {font.fname for font in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:
        try:
            fontManager.addfont(path)
        except Exception:  # a damaged font or a bitmap font, which matplotlib skips too
            continue


@cache
def list_characters(family: str) -> frozenset[int]:
    """Return the Unicode numbers of a font's characters; none if the font cannot be read."""
    try:
        return frozenset(get_font(fontManager.findfont(family, fallback_to_default=False)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def normalise(text: str) -> str:
    """Compose characters, remove invisible ones, and replace every white space by one blank."""
    visible = (c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")
    return " ".join("".join(visible).split())


def make_writable(text: str) -> str:
    """Return a name on one line, with the Unicode number of each character that no font has."""
    known = frozenset[int]().union(*map(list_characters, matplotlib.rcParams["font.family"]))
    text = normalise(text) or NO_NAME
    return "".join(c if ord(c) in known else c.encode("unicode_escape").decode() for c in text)


def escape_notes(texts: Iterable[str]) -> list[str]:
    """Return the note for names with a character that no font has; none without such names."""
    return [ESCAPED] if any(make_writable(text) != (normalise(text) or NO_NAME) for text in texts) else []


@cache
def text_width(line: str, size: float, families: tuple[str, ...]) -> float:
    """Return the width of a line of text in inches."""
    width, _, _ = RendererAgg(1, 1, PRINT_DPI).get_text_width_height_descent(
        line, FontProperties(family=list(families), size=size), False
    )
    return float(width) / PRINT_DPI


def measure_width(text: str, size: float) -> float:
    """Return the width of the longest line of a text in inches, in the fonts of the house style."""
    families = tuple(matplotlib.rcParams["font.family"])
    return max(text_width(line, size, families) for line in text.split("\n"))


def wrap(text: str, inches: float, size: float) -> str:
    """Break a name into lines of at most this width in inches: between words, or else between their parts."""
    lines = [line.rstrip() for line in break_text(make_writable(text), inches, size, PIECES)]
    if len(lines) > MOST_LINES:
        last = lines[MOST_LINES - 1]
        while measure_width(last + "…", size) > inches and last:
            last = last[:-1]
        lines = [*lines[: MOST_LINES - 1], last + "…"]
    return "\n".join(lines)


def break_text(text: str, inches: float, size: float, pieces: Sequence[re.Pattern[str]]) -> list[str]:
    """Break a text at its largest pieces. Break a piece that is too wide at the next smaller ones."""
    lines = [""]
    for piece in pieces[0].findall(text):
        if measure_width(lines[-1] + piece.rstrip(), size) <= inches:
            lines[-1] += piece
        elif len(pieces) > 1 and measure_width(piece.rstrip(), size) > inches:
            lines += break_text(piece, inches, size, pieces[1:])
        else:
            lines.append(piece)
    return [line for line in lines if line]


def measure_height(text: str, size: float) -> float:
    """Return the height of a text's lines in inches."""
    return (text.count("\n") + 1) * size * 1.25 / 72

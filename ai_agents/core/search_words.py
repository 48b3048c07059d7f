"""Words of texts and of searches, folded alike: without case and marks, and one by one in scripts without spaces.

A text becomes its words, each with a space before and behind it: " the  sea ". So a phrase is in a text where its words
are in that of the text, on every database, and as often. Letters are folded by casefold and NFKD, and marks are left
out. What is written without spaces between words (Chinese, Japanese, Korean, Thai, …) and symbols (emoji) become one
word a character, so that they are found by any part of them. All other punctuation parts words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.search_rows import Snippet

MAX_QUERY = 500
# Of one text: its first characters, so many words of them, so many characters of a word and of all words together.
# Every database can index what is left, in a moment.
_MAX_CHARACTERS = 100_000
_MAX_WORDS = 20_000
_MAX_WORD = 64
_MAX_FOLDED = 200_000
# Letters that are written with a stroke or joined, and that NFKD leaves as they are.
_LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
_LETTERS["\N{LATIN SMALL LETTER DOTLESS I}"] = "i"
# Blocks of scripts that are written without spaces between words, or, in Korean, with words of many parts.
_SINGLE = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0xA4CF),  # Chinese, Japanese, Korean, Yi
    (0xA960, 0xA9FF),  # Hangul letters, Javanese, Myanmar
    (0xAA60, 0xAADF),  # Myanmar, Tai Viet
    (0xAC00, 0xD7FF),  # Korean
    (0xF900, 0xFAFF),
    (0x16FE0, 0x1B2FF),  # Tangut, Khitan, Kana
    (0x20000, 0x3FFFF),
)
_HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
_TATWEEL = 0x0640
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# A cache of what characters become. More than these are in no text that people write.
_MOST_KNOWN = 20_000
_ASKED = re.compile(r'(?P<without>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))')
# Of a snippet, and of what is before its first mark.
_SNIPPET = 240
_BEFORE = 60
# How much of a text is looked through at once for where a word stands.
_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is searched for: texts with all of these phrases and none of the `excluded` ones, folded as texts are."""

    phrases: tuple[str, ...]
    excluded: tuple[str, ...] = ()


class _Folding(dict[int, str]):
    """What each character becomes: letters, nothing, a space, or a word of its own between spaces."""

    def __missing__(self, code: int) -> str:
        found = _folded(chr(code))
        if len(self) < _MOST_KNOWN:
            self[code] = found
        return found


_FOLDING = _Folding()


def _folded(character: str) -> str:
    if ord(character) in _HANGUL_SYLLABLES:
        return f" {character} "
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(_folded_piece(_LETTERS.get(piece, piece)) for piece in folded)


def _folded_piece(piece: str) -> str:
    code, category = ord(piece[0]), unicodedata.category(piece[0])
    is_variation = any(code in each for each in _VARIATIONS)
    if unicodedata.combining(piece[0]) or category in ("Cf", "Me") or is_variation or code == _TATWEEL:
        return ""
    if category[0] in "LNM":
        return f" {piece} " if any(first <= code <= last for first, last in _SINGLE) else piece
    is_symbol = code > 127 and category in ("So", "Sk", "Sm", "Sc")
    return f" {piece} " if is_symbol else " "


def fold(text: str) -> str:
    """The words of a text with spaces around them, as far as they are indexed; empty for a text without words."""
    words = _words(_clip(text))
    if not words:
        return ""
    folded = f" {'  '.join(words)} "
    return folded if len(folded) <= _MAX_FOLDED else folded[: folded.rindex("  ", 0, _MAX_FOLDED) + 1]


def _clip(text: str) -> str:
    clipped = text[:_MAX_CHARACTERS]
    return clipped if clipped.isascii() else unicodedata.normalize("NFC", clipped)


def _words(text: str) -> list[str]:
    words = text.translate(_FOLDING).split(maxsplit=_MAX_WORDS)[:_MAX_WORDS]
    if max(map(len, words), default=0) > _MAX_WORD:
        return [word[:_MAX_WORD] for word in words]
    return words


def parse_query(q: str) -> SearchQuery:
    """What a person asks for: words, "phrases", and -without them; other operators are text like any other.

    A word with punctuation in it is a phrase of its parts. Raises `InvalidRequest` if nothing is asked for.
    """
    if not 0 < len(q) <= MAX_QUERY:
        raise InvalidRequest(f"A search has 1 to {MAX_QUERY} characters.", loc=("q",))
    phrases: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for found in _ASKED.finditer(unicodedata.normalize("NFC", q)):
        phrase = fold(found["phrase"] if found["word"] is None else found["word"])
        if phrase:
            (phrases if found["without"] is None else excluded)[phrase] = None
    if not phrases:
        raise InvalidRequest("A search needs a word to look for; exclusions alone find nothing.", loc=("q",))
    return SearchQuery(tuple(phrases), tuple(excluded))


def snippet(text: str, query: SearchQuery) -> Snippet:
    """The piece of a text around the first phrase of the query in it, with all of its phrases there marked."""
    clipped, folded = _clip(text), fold(text)
    found = [place for phrase in query.phrases if (place := folded.find(phrase)) >= 0]
    first = _position(clipped, folded.count("  ", 0, min(found) + 1)) if found else 0
    start = _word_start(clipped, max(0, first - _BEFORE), first) if first > _BEFORE else 0
    end = min(len(clipped), start + _SNIPPET)
    # The last word may go on behind it; of a long one, its beginning counts.
    spans = list(_spans(clipped, start, min(end + 2 * _MAX_WORD, len(clipped))))
    marks = _merged((max(s, start), min(e, end)) for s, e in _found(spans, query.phrases) if s < end)
    head, tail = "…" if start else "", "…" if end < len(clipped) or len(text) > _MAX_CHARACTERS else ""
    shift = len(head) - start
    return {"text": f"{head}{clipped[start:end]}{tail}", "marks": [[s + shift, e + shift] for s, e in marks]}


def _position(text: str, count: int) -> int:
    """Where the word begins that so many words are before."""
    begin = 0
    while begin < len(text):
        end = _block_end(text, begin + _BLOCK)
        words = len(_words(text[begin:end]))
        if words > count:
            return next(islice(_spans(text, begin, end), count, None))[1]
        count, begin = count - words, end
    return 0


def _block_end(text: str, end: int) -> int:
    """The first place from here at which no word is cut in two."""
    while 0 < end < len(text) and not _FOLDING[ord(text[end])].startswith(" "):
        end += 1
    return min(end, len(text))


def _word_start(text: str, begin: int, end: int) -> int:
    """The first place between these at which a word can begin."""
    return next((place for place in range(begin, end) if text[place - 1 : place].isspace()), begin)


def _spans(text: str, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    """The words of a part of a text, and where they begin and end. The part begins and ends between words."""
    word, start, stop = "", begin, begin
    for place in range(begin, end):
        folded = _FOLDING[ord(text[place])]
        parts = folded.split()
        if folded[:1] == " " and word:
            yield word[:_MAX_WORD], start, stop
            word = ""
        for number, part in enumerate(parts):
            if number:
                yield word[:_MAX_WORD], start, stop
                word = ""
            start, word, stop = (start if word else place), word if len(word) > _MAX_WORD else word + part, place + 1
        if folded[-1:] == " " and word and parts:
            yield word[:_MAX_WORD], start, stop
            word = ""
        if not folded and word:
            stop = place + 1  # a mark belongs to its letter
    if word:
        yield word[:_MAX_WORD], start, stop


def _found(spans: Sequence[tuple[str, int, int]], phrases: Sequence[str]) -> Iterator[tuple[int, int]]:
    words = [word for word, _, _ in spans]
    for phrase in phrases:
        asked = phrase.split()
        for place in range(len(words)):
            if words[place] == asked[0] and words[place : place + len(asked)] == asked:
                yield spans[place][1], spans[place + len(asked) - 1][2]


def _merged(marks: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(marks):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged

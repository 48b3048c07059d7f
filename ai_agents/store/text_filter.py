"""What has a text in it, in any case. Compared here: databases differ in what they take for lower case."""

import unicodedata
from collections.abc import Iterable, Iterator

# How many texts are read at once: few first, since most that is looked for is soon found, then more each time, since a
# statement may have to sort all that it reads from.
_FIRST, _MOST = 500, 8_000


def sizes() -> Iterator[int]:
    """How many texts are read by each statement."""
    size = _FIRST
    while True:
        yield size
        size = min(2 * size, _MOST)


def first_with(q: str, named: Iterable[tuple[str, str]], *, limit: int) -> list[str]:
    """The first names whose text has `q` in it, literally. `named` is read as far as it has to be."""
    found, wanted = [], _folded(q)
    for name, text in named:
        if wanted in _folded(text):
            found.append(name)
            if len(found) == limit:
                break
    return found


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())

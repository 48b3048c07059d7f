"""Keys and other secret values in texts that may quote them: found in the forms that formats give them."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote, quote_plus

# Besides backslash and quote, JSON writers escape nothing, the slash (PHP), `&<>` (Go) or most signs (.NET).
_JSON_ESCAPES = tuple(
    str.maketrans({"\\": "\\\\", '"': '\\"'} | more)
    for more in (
        {},
        {"/": "\\/"},
        {letter: f"\\u{ord(letter):04x}" for letter in "&<>"},
        {letter: f"\\u{ord(letter):04X}" for letter in "\"&'+<>`"},
    )
)
# What is left of a secret at the end of a text that was cut tells something from here on.
_SHORTEST_REST = 4
# How many characters of base64 depend on what stands before a value, by the bytes of it in their group of three.
_BEFORE = (0, 2, 3)


class Secrets:
    """Secret values, whole and without their scheme (`Bearer …`).

    They are found as they are, as JSON, URLs and HTML write them, and in base64, alone or within something longer.
    Other disguises are not found. Values of less than `shortest` characters are in many texts by chance.
    """

    def __init__(self, values: Iterable[str], *, shortest: int, shown_as: str) -> None:
        parts = {part for value in values for part in (value, value.rpartition(" ")[2])}
        forms = {form for part in parts if len(part) >= shortest for form in _forms(part)}
        # The longest first: one form may contain another.
        self._forms = sorted((form for form in forms if len(form) >= shortest), key=len, reverse=True)
        self._shown_as = shown_as

    def hide(self, text: str) -> str:
        """The text without these values."""
        for form in self._forms:
            text = text.replace(form, self._shown_as)
        return text

    def hide_in_cut(self, text: str) -> str:
        """The text without these values, and without the beginning of one at its end: it may have been cut there."""
        text = self.hide(text)
        for form in self._forms:
            for length in range(min(len(form) - 1, len(text)), _SHORTEST_REST - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + self._shown_as
        return text


def _forms(value: str) -> Iterator[str]:
    yield value
    yield escape(value)
    for escapes in _JSON_ESCAPES:
        yield value.translate(escapes)
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield quoted
        # Some servers write `%2F` as `%2f`.
        first, *others = quoted.split("%")
        yield "%".join([first, *(other[:2].lower() + other[2:] for other in others)])
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(value.encode()).decode().rstrip("=")
        for before, unsure in enumerate(_BEFORE):
            raw = bytes(before) + value.encode()
            # The last character, too, depends on what follows, unless the value ends a group.
            whole = len(raw) * 4 // 3
            yield encode(raw).decode()[unsure:whole]

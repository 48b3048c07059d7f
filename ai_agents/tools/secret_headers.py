"""Hides the values of headers in what a server answers, so that a model never reads them."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

_HIDDEN = "[redacted]"
# Many answers contain a shorter value by chance.
_SHORTEST = 8
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


class SecretHeaders:
    """The values of a tool's headers, whole and without their scheme (`Bearer …`), in the forms that formats give them.

    These are the value itself, and how JSON, URLs, HTML and base64 write it. Other disguises are not found.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        values = {part for value in headers.values() for part in (value, value.rpartition(" ")[2])}
        forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        # The longest first: one form may contain another.
        self._forms = sorted(forms, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return the text with `[redacted]` in place of each value."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return text

    def hide_in(self, value: Any) -> Any:
        """Return the JSON value with `hide` applied to each text in it, keys included."""
        match value:
            case str():
                return self.hide(value)
            case dict():
                return {self.hide(key): self.hide_in(inner) for key, inner in value.items()}
            case list():
                return [self.hide_in(inner) for inner in value]
            case _:
                return value


def _forms(value: str) -> Iterator[str]:
    yield value
    yield escape(value)
    for escapes in _JSON_ESCAPES:
        yield value.translate(escapes)
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield quoted
        yield _lower_escapes(quoted)
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(value.encode()).decode().rstrip("=")


def _lower_escapes(quoted: str) -> str:
    """Return `%2F` as `%2f`, as some servers write it."""
    first, *others = quoted.split("%")
    return "%".join([first, *(other[:2].lower() + other[2:] for other in others)])

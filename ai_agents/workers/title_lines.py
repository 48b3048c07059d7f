"""A model's answer, or a user's words, as a title: one line without markup, and with every character that is none.

Markup is what Markdown and HTML would not show: marks that come in pairs or at a line's beginning. In "C# and 6*7" the
signs are part of the text.
"""

import re
import unicodedata

LONGEST = 80
# Of a line, in characters: looking for pairs takes time with the square of it.
_LOOKED_AT = 500
# Marks that stand before a line: of headings, quotations and lists.
_BEFORE_LINE = re.compile(r"^(?:\s*(?:#{1,6}|>|[-*+•\u2013\u2014])(?=\s|$)\s*)+")
_AFTER_HEADING = re.compile(r"\s+#+\s*$")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
# Pairs around words: of each kind the left one touches the text after it, the right one the text before it.
_PAIRS = re.compile(r"(?<![\w*_~`\\])(\*{1,3}|~~|`+)(?=\S)(.+?)(?<=[^\s\\])\1(?![\w*_~`])")
# Underscores are markup only around several words: `__init__` is a name.
_UNDERLINED = re.compile(r"^(_{1,3})(?=[^\s_])([^_]* [^_]*)(?<=\S)\1$")
_TAG_NAMES = "a|b|big|br|cite|code|del|div|em|h[1-6]|i|ins|li|mark|ol|p|pre|q|s|small|span|strong|sub|sup|title|u|ul"
_TAG = re.compile(rf"(?<![\w.])<(?:{_TAG_NAMES})(?:\s[^<>]*)?/?>|</(?:{_TAG_NAMES})\s*>", re.IGNORECASE)
# A backslash before a sign says that the sign is no markup.
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!~|<>])")
_LABEL = re.compile(r"^(title|titel|titre|título|titolo|заголовок|标题|タイトル)\s*[:：]\s*", re.IGNORECASE)  # noqa: RUF001  # the colons of several scripts
# Quotation marks by how they open, with those that close them.
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“”‟", "‘": "’", "‚": "‘’", "«": "»", "»": "«", "‹": "›", "›": "‹"}  # noqa: RUF001  # marks that look like others are meant
_QUOTES |= {"「": "」", "『": "』"}
_SPACE = re.compile(r"\s+")


def tidy(text: str) -> str:
    """The first line of a text that says something, as a title of at most 80 characters; "" if there is none."""
    for line in text.splitlines():
        if line.strip().startswith("```"):
            continue
        plain = one_line(_without_markup(one_line(line[:_LOOKED_AT])))
        plain = _without_quotes(_LABEL.sub("", _without_quotes(plain)))
        plain = _without_full_stop(plain)
        if any(c.isalnum() for c in plain):
            return shorten(plain)
    return ""


def one_line(text: str) -> str:
    """The text in one line, without invisible characters and with one space where there is any."""
    visible = (c if c.isprintable() else "" if unicodedata.category(c) == "Cf" else " " for c in text)
    return _SPACE.sub(" ", "".join(visible)).strip()


def shorten(text: str) -> str:
    """At most 80 characters, cut between words where that is possible."""
    if len(text) <= LONGEST:
        return text
    cut = text[: LONGEST - 1]
    at_space = cut.rfind(" ")
    return (cut[:at_space] if at_space > LONGEST // 2 else cut).rstrip(",;:-\u2013\u2014 ") + "…"


def _without_markup(line: str) -> str:
    before = _BEFORE_LINE.match(line)
    if before:
        line = line[before.end() :]
        if "#" in before[0]:
            line = _AFTER_HEADING.sub("", line)
    line = _TAG.sub("", _LINK.sub(r"\1", line))
    # Pairs stand in pairs: once for each kind is enough for what models write.
    for _ in range(3):
        line = _PAIRS.sub(r"\2", line)
    return _ESCAPED.sub(r"\1", _UNDERLINED.sub(r"\2", line))


def _without_quotes(line: str) -> str:
    """The line without quotation marks around the whole of it; those within, or around a part, stay."""
    while len(line) > 1 and line[-1] in _QUOTES.get(line[0], ""):
        inner = line[1:-1]
        if line[0] in inner or line[-1] in inner:
            return line
        line = inner.strip()
    return line


def _without_full_stop(line: str) -> str:
    """The line without the stop of a sentence. That of a short or dotted word, such as `Inc.`, is the word's own."""
    if line.endswith("。"):
        return line[:-1].rstrip()
    last_word = line.rpartition(" ")[2]
    ends = line.endswith(".") and len(last_word) > len("Inc.") and "." not in last_word[:-1]
    return line[:-1].rstrip() if ends else line

"""The examples of a page: its shell blocks, what the page says they print, and whether that is what they printed.

A comment `<!-- not run: why -->` before a block leaves it out.
The block of `json` or `text` that comes next after a block of `sh` shows its output. In it `…` stands for anything that
was left out, and a time or an id for any other time or id; of JSON, white space does not count.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = "not run: "
_ID = r"01[0-9a-f]{6}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
_VARYING = re.compile(rf"(?P<id>01[0-9a-f]{{6}}-…|{_ID})|(?P<time>{_TIME})|(?P<anything>…)")
_PATTERNS = {"id": _ID, "time": _TIME, "anything": ".*?"}
_JSON_TEXT_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


@dataclass(frozen=True, slots=True)
class Example:
    """A block of shell commands; `shown` is what the page says it prints, as `language`, None where it says nothing."""

    line: int
    script: str
    shown: str | None = None
    language: str = ""

    def explains(self, printed: str) -> bool:
        """Whether the page shows this output, or none."""
        if self.shown is None:
            return True
        printed = printed.replace("\r\n", "\n")
        shown = self.shown
        if self.language == "json":
            shown, printed = _without_space(shown), _without_space(printed)
        return re.fullmatch(_pattern(shown.strip()), printed.strip(), re.DOTALL) is not None


def examples_of(page: Path) -> list[Example]:
    """The page's shell blocks in their order."""
    text = page.read_text(encoding="utf-8")
    found: list[Example] = []
    follows_shell = False
    for fence in FENCE.finditer(text):
        language, body = fence["language"], fence["body"]
        if (fence["mark"] or "").startswith(NOT_RUN):
            language = "none"
        if language == "sh":
            found.append(Example(text.count("\n", 0, fence.start("language")) + 1, body))
        elif follows_shell and language in ("json", "text"):
            found[-1] = Example(found[-1].line, found[-1].script, body, language)
        follows_shell = language == "sh"
    return found


def _without_space(text: str) -> str:
    return _JSON_TEXT_OR_SPACE.sub(lambda found: found[1] or "", text)


def _pattern(shown: str) -> str:
    parts: list[str] = []
    end = 0
    for found in _VARYING.finditer(shown):
        parts += [re.escape(shown[end : found.start()]), _PATTERNS[str(found.lastgroup)]]
        end = found.end()
    return "".join([*parts, re.escape(shown[end:])])

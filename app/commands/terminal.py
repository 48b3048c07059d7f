"""What commands print: tables, JSON, colours and progress, each only where it helps."""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Literal

from ai_agents.core.wording import harmless

# A first sign of life after a moment: what is done by then needs none.
_FIRST_S, _EVERY_S = 0.5, 0.2
Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]
_STYLES: Mapping[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person sees the stream as it is written."""
    return stream.isatty()


def has_colours(stream: IO[str]) -> bool:
    """Whether the stream shows colours, and its user wants them. Source: https://no-color.org, read 2026-11-30."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: Style, stream: IO[str]) -> str:
    """The text in a style, where the stream shows any."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text and has_colours(stream) else text


def note(text: str, style: Style | None = None) -> None:
    """A line for the person at the terminal, on standard error. It may quote others."""
    text = harmless(text)
    print(styled(text, style, sys.stderr) if style else text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """A value as JSON on standard output; at a terminal, which could obey some characters, in ASCII."""
    print(json.dumps(value, indent=2, ensure_ascii=is_terminal(sys.stdout)))


def print_listed(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """A list as JSON, or as a table for a person, who is told `empty` where there is nothing."""
    if as_json:
        print_json(rows)
        return
    print_table(rows, columns)
    if not rows:
        note(empty)


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows under the names of their columns, on standard output. Nothing where there is no row."""
    lines = [[_cell(row.get(column)) for column in columns] for row in rows]
    if not lines:
        return
    head = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[place]) for line in [head, *lines]) for place in range(len(columns))]

    def laid_out(line: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()

    print(styled(laid_out(head), "bold", sys.stdout))
    for line in lines:
        print(laid_out(line))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return harmless(str(value)).replace("\n", " ")


class Progress:
    """One line on standard error that tells how far long work is: on a terminal alone, and not for quick work."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _FIRST_S
        self._shown = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, text: str) -> None:
        """How far it is now. May be called as often as one likes."""
        now = time.monotonic()
        if now >= self._next and is_terminal(sys.stderr):
            self._next = now + _EVERY_S
            self._shown = True
            print(f"\r\x1b[K{text} …", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the line."""
        if self._shown:
            self._shown = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

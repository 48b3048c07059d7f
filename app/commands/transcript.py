"""What a conversation looks like on a terminal: answers on standard output, all else on standard error."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ai_agents.client import Answer
from ai_agents.core.events import Event
from ai_agents.core.wording import harmless
from app.commands.terminal import Style, has_colours, is_terminal, styled

# Of arguments and results of tools: enough to see what a call is about.
_MOST_SHOWN = 500


class Transcript:
    """Shows the events of runs as they come.

    Where standard output is no terminal it gets nothing until `finish`, and then the answer alone: what was streamed
    may be void by then.
    """

    def __init__(self) -> None:
        self.is_live = is_terminal(sys.stdout)
        self._answer = Answer()
        # How many characters of each message are shown.
        self._shown: dict[str, int] = {}
        self._line: Literal["text", "reasoning"] | None = None

    def begin(self) -> None:
        """Another run."""
        self._answer, self._shown = Answer(), {}

    def show(self, event: Event) -> None:
        """Show an event. Those that tell a person nothing are left out."""
        self._answer.add(event)
        data = event.data
        match event.type:
            case "message.delta":
                self._write_text(data["message_id"], data["text"])
            case "reasoning.delta":
                self._write_reasoning(data["text"])
            case "message.completed":
                self._complete(data["message"])
            case _:
                for text, style in _remarks(event):
                    self.note(text, style)
        for void in data.get("discard", ()):
            self._shown.pop(void, None)

    def finish(self) -> None:
        """The run has ended: print its answer, unless it is shown. Raises `ServiceProblem` where there is none."""
        message = self._answer.message()
        if not self.is_live:
            print(message["content"], flush=True)

    def note(self, text: str, style: Style) -> None:
        """A line beside the answer."""
        self.end_line()
        print(styled(harmless(text), style, sys.stderr), file=sys.stderr, flush=True)

    def end_line(self) -> None:
        """End a line that is begun."""
        if self._line is not None:
            print(file=sys.stdout if self._line == "text" else sys.stderr, flush=True)
            self._line = None

    def _write_text(self, message_id: str, text: str) -> None:
        if not self.is_live or not text:
            return
        if self._line != "text":
            self.end_line()
            self._line = "text"
        self._shown[message_id] = self._shown.get(message_id, 0) + len(text)
        print(harmless(text), end="", flush=True)

    def _write_reasoning(self, text: str) -> None:
        if not is_terminal(sys.stderr):
            return
        if self._line != "reasoning":
            self.end_line()
            self._line = "reasoning"
        shown = f"\x1b[2m{harmless(text)}\x1b[0m" if has_colours(sys.stderr) else harmless(text)
        print(shown, end="", file=sys.stderr, flush=True)

    def _complete(self, message: Mapping[str, Any]) -> None:
        if message["role"] != "assistant":
            self.note(f"{message.get('user_id') or 'someone'}: {harmless(message['content'])}", "dim")
            return
        # A reader who has missed the deltas gets the message whole.
        self._write_text(message["id"], message["content"][self._shown.get(message["id"], 0) :])
        self.end_line()


def _remarks(event: Event) -> Iterator[tuple[str, Style]]:
    """What to say beside the answer, each with a style."""
    data = event.data
    match event.type:
        case "tool.started":
            yield f"→ {call_of(data)}", "cyan"
        case "tool.completed":
            yield f"← {_short(data['result'])}", "red" if data["is_error"] else "dim"
        case "run.queued":
            yield f"It waits for its turn (place {data['position']}).", "dim"
        case "run.retrying":
            yield f"It begins again: {harmless(data['reason'])}", "yellow"
        case "guardrail.triggered":
            yield f"Guardrail {harmless(data['guardrail'])}: {data['action']} ({data['stage']}).", "yellow"
        case "context.compacted":
            yield "A summary stands for the earlier messages now.", "dim"
        case "run.completed":
            yield from ((harmless(str(notice)), "dim") for notice in data["run"].get("notices") or ())
        case "run.cancelled":
            yield "Stopped.", "yellow"
        case _:
            pass


def call_of(call: Mapping[str, Any]) -> str:
    """A tool call as people write one: `calculator(expression="6 * 7")`."""
    arguments = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call["arguments"].items()
    )
    return _short(f"{call['name']}({arguments})")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(harmless(text).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"

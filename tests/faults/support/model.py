"""A provider that does what the message to it says, strict about every request's rules."""

import asyncio
import re
from collections import defaultdict
from typing import Any

from tests.fakes.answers import Answer, Call, Raw, Text
from tests.fakes.provider_server import FakeProviderServer

_WISH = re.compile(r"(\w+)=(\S+)")
PROVIDERS = ("openai", "anthropic", "ollama")
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-5", "ollama": "llama3.1"}
# What clients get wrong: two bytes, four bytes, quotes, a line's end, and a blank at the end of a chunk.
_WORDS = ("plain ", "über ", "😀 ", '"quoted" ', "two\nlines ", "  wide  ", "data: ", "naïve\t", "汉字 ")
# Requests that are kept whole; long histories sent a thousand times would fill the memory.
_KEPT = 20


class Model(FakeProviderServer):
    """Answers a message by the wishes in its text, in any of the three wire formats.

    `words=40` so many words, `pause=0.02` seconds before each; `call=bump key=k` calls that tool first, and
    `call=bump,safe_bump` both; `gate=g` waits for `gates["g"]` before the word number `at=3` (0: before the first);
    `say=word` is said last. No two requests get the same text, so that the text of two attempts cannot be taken for one
    another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._answers = 0

    def answer_to(self, provider: str, payload: Any) -> Answer | Raw:
        """The answer that was wished for."""
        if self.is_scripted(provider):
            return super().answer_to(provider, payload)
        self._answers += 1
        for request in self.requests[:-_KEPT][-_KEPT:]:
            request.json = None
        text = last_user_text(payload)
        wishes = dict(_WISH.findall(text))
        if "call" in wishes and not _brings_results(payload):
            calls = [Call(name, {"key": wishes["key"]}) for name in wishes["call"].split(",")]
            return Answer([Text(["Let me ", "count. "]), *calls])
        return Answer([Text(self._pieces(wishes))])

    def refused(self) -> list[str]:
        """What was wrong with the requests that a provider would have refused."""
        return [f"{request.provider}: {request.refused}" for request in self.requests if request.refused]

    def _pieces(self, wishes: dict[str, str]) -> list[str | float | asyncio.Event]:
        count, pause = int(wishes.get("words", "8")), float(wishes.get("pause", "0"))
        pieces: list[str | float | asyncio.Event] = []
        for number in range(count):
            if "gate" in wishes and number == int(wishes.get("at", "0")):
                pieces.append(self.gates[wishes["gate"]])
            if pause:
                pieces.append(pause)
            pieces.append(f"{self._answers}.{number} {_WORDS[(self._answers + number) % len(_WORDS)]}")
        return [*pieces, wishes.get("say", "end")]


def last_user_text(payload: Any) -> str:
    """The newest text of the user in a request of any provider."""
    for message in reversed(payload.get("messages", ())):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                # A message without an answer stands before the newest one, joined with it.
                return content.rpartition("\n\n")[2]
            texts = [block["text"] for block in content or () if block.get("type") == "text"]
            if texts:
                return str(texts[-1])
    return ""


def _brings_results(payload: Any) -> bool:
    last = (payload.get("messages") or [{}])[-1]
    if last.get("role") == "tool":
        return True
    content = last.get("content")
    return isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)

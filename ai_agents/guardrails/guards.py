"""An agent's guardrails at one stage: on a stream, on a whole text, on a JSON value."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ai_agents.core import json
from ai_agents.core.exceptions import GuardrailBlocked
from ai_agents.guardrails.base import ConfiguredGuardrail, Finding, Guardrail, Span
from ai_agents.guardrails.judge import Ask, JudgeGuardrail
from ai_agents.guardrails.registry import build_guardrails, guards_key
from ai_agents.guardrails.stream import REDACTED, StreamGuard

# Longer texts are looked at beside the event loop.
_LONG = 32 * 1024
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JudgedValue:
    """What may be seen of a text or value, and what was found on the way.

    Where something blocked, `value` is what lay before it (of a text), or None. `hidden` is where those that judge
    whole texts found something, which patterns would not find again.
    """

    value: Any
    triggers: tuple[Finding, ...] = ()
    blocked_by: ConfiguredGuardrail | None = None
    hidden: tuple[Span, ...] = ()


class Guards:
    """The guardrails of one stage. `ask` reaches the models of judges; without it they allow nothing."""

    def __init__(
        self,
        configs: Sequence[Mapping[str, Any]],
        stage: Literal["input", "output"],
        *,
        ask: Ask | None = None,
        fails_open: bool = False,
    ) -> None:
        """Raises `InvalidRequest`."""
        self.stage: Literal["input", "output"] = stage
        self._placed = [each for each in build_guardrails(configs) if each.stage in {stage, "both"}]
        self._configs = configs
        self._whole = [each for each in self._placed if isinstance(each.guardrail, Guardrail)]
        self._ask = ask
        self._fails_open = fails_open

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._placed)

    @property
    def key(self) -> str | None:
        """What tells them from others."""
        return guards_key(self._configs, self.stage)

    @property
    def needs_whole(self) -> bool:
        """Whether one of them judges whole texts alone."""
        return bool(self._whole)

    def stream(self) -> StreamGuard:
        """Those that need no whole text, for a text on its way."""
        return StreamGuard(self._placed, self.stage)

    async def judge_text(self, text: str) -> JudgedValue:
        """All of them, on a whole text."""
        judged = await self.judge_texts([text])
        return replace(judged, value="".join(judged.value))

    async def judge_texts(self, texts: Sequence[str]) -> JudgedValue:
        """All of them, on texts that are read as one; `value` is what may be seen of each.

        A judge's provider is sent what patterns leave of the text, and nothing of one that they block.
        """
        judged, text = await self._match(self.stream(), texts), "".join(texts)
        if judged.blocked_by is not None or not text:
            return judged
        found = await self._ask_each(text, seen="".join(judged.value))
        if not any(spans for _, spans in found):
            return judged
        guard = self.stream()
        for placed, spans in found:
            for start, stop in spans:
                guard.forbid(placed, start, stop)
        hidden = tuple(span for _, spans in found for span in spans)
        return replace(await self._match(guard, texts), hidden=hidden)

    async def _match(self, guard: StreamGuard, texts: Sequence[str]) -> JudgedValue:
        if sum(map(len, texts)) > _LONG:
            return await asyncio.to_thread(_run, guard, texts)
        return _run(guard, texts)

    def finds_in(self, value: Any) -> bool:
        """Whether a pattern finds something in a JSON value, whatever judges would say."""
        judged = _Walk(self._placed, self.stage).judge(value)
        return judged.blocked_by is not None or bool(judged.triggers)

    def redacted(self, text: str, hidden: Sequence[Span] = ()) -> str:
        """The text without what the patterns find, whatever they are set to do, and without what is `hidden`."""
        guard = StreamGuard([replace(each, action="redact") for each in self._placed], self.stage)
        for start, stop in hidden:
            guard.hide(start, stop)
        return "".join(_run(guard, [text]).value)

    async def judge_source(self, text: str) -> JudgedValue:
        """All of them, on the source of JSON, as it stands and as what it says.

        Where it says what it must not, it is written anew. Source that cannot be read is taken out as a whole where
        its letters spell such a thing, however they are escaped.
        """
        try:
            value = json.loads(text)
        except ValueError:
            judged = await self.judge_text(text)
            spelt = await self._match(self.stream(), [_unescaped(text)])
            if judged.blocked_by is not None or not spelt.triggers:
                return judged
            triggers = tuple(dict.fromkeys((*judged.triggers, *spelt.triggers)))
            return JudgedValue(REDACTED if spelt.blocked_by is None else "", triggers, spelt.blocked_by)
        said = await self.judge_json(value)
        if said.blocked_by is not None:
            return replace(said, value="")
        # Where nothing is escaped, everything that the source says stands in it; else it may say more than its value.
        is_plain = said.value == value and "\\" not in text
        source = await self._match(self.stream(), [text if is_plain else json.dumps(said.value)])
        triggers = tuple(dict.fromkeys((*said.triggers, *source.triggers)))
        return JudgedValue("".join(source.value), triggers, source.blocked_by)

    async def judge_json(self, value: Any) -> JudgedValue:
        """All of them, on every text and number in a JSON value, keys too; what judges whole texts sees it as one."""
        if isinstance(value, str):
            return await self.judge_text(value)
        walk = _Walk(self._placed, self.stage)
        judged = await asyncio.to_thread(walk.judge, value)
        if judged.blocked_by is not None or not self._whole:
            return judged
        triggers = list(judged.triggers)
        for placed, spans in await self._ask_each(json.dumps(value), seen=json.dumps(judged.value)):
            if spans:
                triggers.append(Finding(placed.type, self.stage, placed.action))
                if placed.action == "block":
                    return JudgedValue(None, tuple(triggers), placed)
                judged = JudgedValue(REDACTED)
        return JudgedValue(judged.value, tuple(triggers))

    def blocked(self, placed: ConfiguredGuardrail) -> GuardrailBlocked:
        """The error that says so, and not what was found."""
        sentence = f"The guardrail {placed.type} does not allow this {self.stage}."
        return GuardrailBlocked(sentence, guardrail=placed.type, stage=self.stage)

    async def _ask_each(self, text: str, *, seen: str) -> Sequence[tuple[ConfiguredGuardrail, Sequence[Span]]]:
        """Where those that judge whole texts find something in this one; `seen` is what patterns leave of it."""
        found = await asyncio.gather(*(self._spans(placed, text, seen) for placed in self._whole))
        return list(zip(self._whole, found, strict=True))

    async def _spans(self, placed: ConfiguredGuardrail, text: str, seen: str) -> Sequence[Span]:
        everything = [(0, max(1, len(text)))]
        guardrail = placed.guardrail
        if isinstance(guardrail, JudgeGuardrail):
            allowed = self._ask is not None and await guardrail.judge(seen, self._ask, fails_open=self._fails_open)
            return [] if allowed else everything
        assert isinstance(guardrail, Guardrail)  # noqa: S101  # only those are asked
        try:
            found = await guardrail.check(text)
        except Exception:  # noqa: BLE001  # somebody else's code: a guardrail that fails lets nothing through
            _log.exception("a guardrail failed", extra={"guardrail": placed.type})
            return everything
        if isinstance(found, bool):
            return [] if found else everything
        return [(max(0, start), min(stop, len(text))) for start, stop in found if start < stop]


class _Walk:
    """Goes through a JSON value and judges each text and number for itself."""

    def __init__(self, placed: Sequence[ConfiguredGuardrail], stage: Literal["input", "output"]) -> None:
        self._placed = placed
        self._stage = stage
        self._triggers: dict[Finding, None] = {}
        self._blocked_by: ConfiguredGuardrail | None = None
        # Keys, for one, come again and again.
        self._known: dict[str, str] = {}

    def judge(self, value: Any) -> JudgedValue:
        seen = self._see(value)
        return JudgedValue(None if self._blocked_by else seen, tuple(self._triggers), self._blocked_by)

    def _see(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case bool() | None:
                return value
            case int() | float():
                text = str(value)
                seen = self._text(text)
                return value if seen == text else seen
            case dict():
                return {self._text(key): self._see(inner) for key, inner in value.items()}
            case _:
                return [self._see(inner) for inner in value]

    def _text(self, text: str) -> str:
        known = self._known.get(text)
        if known is not None:
            return known
        judged = _run(StreamGuard(self._placed, self._stage), [text])
        self._triggers |= dict.fromkeys(judged.triggers)
        self._blocked_by = self._blocked_by or judged.blocked_by
        seen = self._known[text] = "".join(judged.value)
        return seen


def _unescaped(text: str) -> str:
    """Source of JSON with each escaped character as itself; nothing else of it is read."""
    spelt = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1]) or chr(int(found[1][1:], 16)), text)
    return json.clean_text(spelt.replace("\0", ""))


def _run(guard: StreamGuard, texts: Sequence[str]) -> JudgedValue:
    seen = [""] * len(texts)
    for number, text in enumerate(texts):
        for tag, piece in guard.feed(text, number):
            seen[tag] += piece
    for tag, piece in guard.finish():
        seen[tag] += piece
    return JudgedValue(seen, tuple(guard.triggers), guard.blocked_by)

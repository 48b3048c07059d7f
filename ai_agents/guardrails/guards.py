"""An agent's guardrails at one stage: on a stream, on whole texts, on JSON values."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai_agents.core import json
from ai_agents.core.exceptions import GuardrailBlocked
from ai_agents.guardrails.base import ConfiguredGuardrail, Finding, Guardrail, Span, Stage
from ai_agents.guardrails.judge import Ask, JudgeGuardrail
from ai_agents.guardrails.registry import build_guardrails, guards_key
from ai_agents.guardrails.stream import REDACTED, StreamGuard

# Longer texts are searched in a thread.
_LONG = 32 * 1024
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JudgedValue:
    """What is left of a text or of a JSON value, and the findings.

    If a guardrail blocked, `value` is the text before the match, or None for a JSON value. `hidden` are the stretches
    that guardrails for whole texts found: patterns would not find them again.
    """

    value: Any
    triggers: tuple[Finding, ...] = ()
    blocked_by: ConfiguredGuardrail | None = None
    hidden: tuple[Span, ...] = ()


class Guards:
    """The guardrails of one stage. `ask` calls the models of judges; without it judges allow nothing."""

    def __init__(
        self, configs: Sequence[Mapping[str, Any]], stage: Stage, *, ask: Ask | None = None, fails_open: bool = False
    ) -> None:
        """Raises `InvalidRequest`."""
        self.stage: Stage = stage
        self._guardrails = [each for each in build_guardrails(configs) if stage in each.stages]
        self._configs = configs
        self._whole = [each for each in self._guardrails if isinstance(each.guardrail, Guardrail)]
        self._ask = ask
        self._fails_open = fails_open

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._guardrails)

    @property
    def key(self) -> str | None:
        """See `guards_key`."""
        return guards_key(self._configs, self.stage)

    @property
    def needs_whole(self) -> bool:
        """Whether one of them judges only whole texts."""
        return bool(self._whole)

    def stream(self) -> StreamGuard:
        """A guard for one text that arrives in pieces, without the guardrails that need whole texts."""
        return StreamGuard(self._guardrails, self.stage)

    async def judge_text(self, text: str) -> JudgedValue:
        """Judge a whole text with all guardrails."""
        judged = await self.judge_texts([text])
        return replace(judged, value="".join(judged.value))

    async def judge_texts(self, texts: Sequence[str]) -> JudgedValue:
        """Judge texts as one text with all guardrails. `value` is what is left of each.

        A judge's provider receives the text after redaction, and it receives nothing if a pattern blocks.
        """
        judged, text = await self._match(self.stream(), texts), "".join(texts)
        if judged.blocked_by is not None or not text:
            return judged
        found = await self._judge_whole(text, redacted="".join(judged.value))
        hidden = tuple(span for _, spans in found for span in spans)
        if not hidden:
            return judged
        guard = self.stream()
        for guardrail, spans in found:
            for start, stop in spans:
                guard.add_finding(guardrail, start, stop)
        return replace(await self._match(guard, texts), hidden=hidden)

    def finds_in(self, value: Any) -> bool:
        """Whether a pattern finds something in a JSON value. Guardrails for whole texts are not asked."""
        judged = self._match_json(value)
        return judged.blocked_by is not None or bool(judged.triggers)

    def redacted(self, text: str, hidden: Sequence[Span] = ()) -> str:
        """The text without the `hidden` stretches and without what patterns find, whatever their action is."""
        guard = StreamGuard([replace(each, action="redact") for each in self._guardrails], self.stage)
        for start, stop in hidden:
            guard.hide(start, stop)
        return "".join(_run(guard, [text]).value)

    async def judge_source(self, text: str) -> JudgedValue:
        """Judge JSON source with all guardrails, both as text and by the values in it.

        After a redaction it is serialized anew. Invalid JSON is redacted as a whole if its text with all escape
        sequences decoded triggers a guardrail.
        """
        try:
            value = json.loads(text)
        except ValueError:
            judged = await self.judge_text(text)
            decoded = await self._match(self.stream(), [_unescaped(text)])
            if judged.blocked_by is not None or not decoded.triggers:
                return judged
            triggers = tuple(dict.fromkeys((*judged.triggers, *decoded.triggers)))
            return JudgedValue(REDACTED if decoded.blocked_by is None else "", triggers, decoded.blocked_by)
        values = await self.judge_json(value)
        if values.blocked_by is not None:
            return replace(values, value="")
        # With escape sequences the source may hold text that is in none of its values, for example in repeated keys.
        is_plain = values.value == value and "\\" not in text
        source = await self._match(self.stream(), [text if is_plain else json.dumps(values.value)])
        triggers = tuple(dict.fromkeys((*values.triggers, *source.triggers)))
        return JudgedValue("".join(source.value), triggers, source.blocked_by)

    async def judge_json(self, value: Any) -> JudgedValue:
        """Judge each text, number and key of a JSON value. Guardrails for whole texts judge its JSON source."""
        if isinstance(value, str):
            return await self.judge_text(value)
        judged = await asyncio.to_thread(self._match_json, value)
        if judged.blocked_by is not None or not self._whole:
            return judged
        triggers = list(judged.triggers)
        for guardrail, spans in await self._judge_whole(json.dumps(value), redacted=json.dumps(judged.value)):
            if spans:
                triggers.append(Finding(guardrail.type, self.stage, guardrail.action))
                if guardrail.action == "block":
                    return JudgedValue(None, tuple(triggers), guardrail)
                judged = JudgedValue(REDACTED)
        return JudgedValue(judged.value, tuple(triggers))

    def blocked_error(self, guardrail: ConfiguredGuardrail) -> GuardrailBlocked:
        """The error for a blocked text. It does not say what was found."""
        sentence = f"The guardrail {guardrail.type} does not allow this {self.stage}."
        return GuardrailBlocked(sentence, guardrail=guardrail.type, stage=self.stage)

    async def _match(self, guard: StreamGuard, texts: Sequence[str]) -> JudgedValue:
        if sum(map(len, texts)) > _LONG:
            return await asyncio.to_thread(_run, guard, texts)
        return _run(guard, texts)

    def _match_json(self, value: Any) -> JudgedValue:
        """Judge each text, number and key of a JSON value by patterns."""
        triggers: dict[Finding, None] = {}
        blocked_by: list[ConfiguredGuardrail] = []
        # Equal texts are judged once: keys are repeated often.
        redacted: dict[str, str] = {}

        def judge_text(text: str) -> str:
            if text not in redacted:
                judged = _run(self.stream(), [text])
                triggers.update(dict.fromkeys(judged.triggers))
                blocked_by.extend([judged.blocked_by] if judged.blocked_by else [])
                redacted[text] = "".join(judged.value)
            return redacted[text]

        def judge(value: Any) -> Any:
            match value:
                case str():
                    return judge_text(value)
                case bool() | None:
                    return value
                case int() | float():
                    text = judge_text(str(value))
                    return value if text == str(value) else text
                case dict():
                    return {judge_text(key): judge(inner) for key, inner in value.items()}
                case _:
                    return [judge(inner) for inner in value]

        left = judge(value)
        return JudgedValue(None if blocked_by else left, tuple(triggers), next(iter(blocked_by), None))

    async def _judge_whole(self, text: str, *, redacted: str) -> Sequence[tuple[ConfiguredGuardrail, Sequence[Span]]]:
        """What each guardrail for whole texts finds in this text. Judges receive the `redacted` text instead."""
        found = await asyncio.gather(*(self._spans(each, text, redacted) for each in self._whole))
        return list(zip(self._whole, found, strict=True))

    async def _spans(self, configured: ConfiguredGuardrail, text: str, redacted: str) -> Sequence[Span]:
        everything = [(0, max(1, len(text)))]
        guardrail = configured.guardrail
        if isinstance(guardrail, JudgeGuardrail):
            is_allowed = self._ask is not None and await guardrail.judge(
                redacted, self._ask, fails_open=self._fails_open
            )
            return [] if is_allowed else everything
        assert isinstance(guardrail, Guardrail)  # noqa: S101  # only guardrails for whole texts are asked
        try:
            found = await guardrail.check(text)
        except Exception:  # noqa: BLE001  # a user's guardrail may raise anything, and then nothing is allowed
            _log.exception("a guardrail failed", extra={"guardrail": configured.type})
            return everything
        if isinstance(found, bool):
            return [] if found else everything
        return [(max(0, start), min(stop, len(text))) for start, stop in found if start < stop]


def _unescaped(text: str) -> str:
    """JSON source with its escape sequences decoded."""
    decoded = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1]) or chr(int(found[1][1:], 16)), text)
    return json.clean_text(decoded.replace("\0", ""))


def _run(guard: StreamGuard, texts: Sequence[str]) -> JudgedValue:
    """Judge texts as one text. `value` is what is left of each."""
    left = [""] * len(texts)
    judged = [piece for number, text in enumerate(texts) for piece in guard.feed(text, number)]
    for tag, piece in judged + guard.finish():
        left[tag] += piece
    return JudgedValue(left, tuple(guard.triggers), guard.blocked_by)

"""An agent's guardrails at one stage: on a stream, on whole texts, on JSON values."""

import asyncio
import logging
import re
from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from ai_agents.core import json
from ai_agents.core.exceptions import GuardrailBlocked
from ai_agents.core.fair_work import UserWork
from ai_agents.guardrails.base import ConfiguredGuardrail, Finding, Guardrail, LengthGuardrail, Span, Stage
from ai_agents.guardrails.folding import FoldedText, has_tags, spell_tags
from ai_agents.guardrails.matching import Scanner, ScannerGroup
from ai_agents.guardrails.registry import Ask, GuardrailSet, JudgeGuardrail, build_guardrails, guards_key

REDACTED = "[redacted]"
# Longer pieces are judged in blocks of this many characters, because a search costs as much as the text it is given.
_BLOCK = 2048
_ENDLESS = 1 << 62
# Longer texts are searched in a thread; all texts are where the patterns are heavy.
_LONG = 32 * 1024
T = TypeVar("T")
P = ParamSpec("P")
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class _Redaction:
    """A stretch of the raw text that is replaced. `by` is the guardrail that found it, if it is a new finding."""

    start: int
    stop: int
    replacement: str = REDACTED
    by: ConfiguredGuardrail | None = field(default=None, compare=False)


class _Reading:
    """One way to read the text, and the scanners that search it."""

    def __init__(self, scanners: Sequence[tuple[ConfiguredGuardrail, Scanner]], folded: FoldedText) -> None:
        self.folded = folded
        self._scanners = scanners
        self._all = ScannerGroup([scanner for _, scanner in scanners])

    def copy(self) -> "_Reading":
        """Another reading of the same text, which may go on otherwise."""
        return _Reading([(guardrail, scanner.copy()) for guardrail, scanner in self._scanners], self.folded.copy())

    def search(self, *, is_final: bool) -> tuple[list[tuple[ConfiguredGuardrail, int, int]], int]:
        """What is found in the raw text, and the position in it before which everything is decided."""
        folded, found = self.folded, list[tuple[ConfiguredGuardrail, int, int]]()
        raw_end = folded.raw_end
        if not self._all.skip(folded, is_final=is_final):
            for guardrail, scanner in self._scanners:
                for start, end in scanner.scan(folded, is_final=is_final):
                    found.append((guardrail, folded.raw_start(start), folded.raw_stop(end)))
        position = self._all.position(folded)
        free = min(raw_end, folded.raw_start(position))
        # A match may depend on the character before it.
        folded.forget(position - 1)
        return found, free


class StreamGuard:
    """Judges one text that arrives in pieces. What comes out does not depend on how the text was cut.

    Each piece has a `tag`, the number of the message part that it belongs to; a match may cross parts. When a guardrail
    blocks, `blocked_by` is set, and no text after the match comes out.
    """

    def __init__(self, guardrails: Sequence[ConfiguredGuardrail], stage: Stage) -> None:
        self.blocked_by: ConfiguredGuardrail | None = None
        self.triggers: list[Finding] = []
        self._guardrails = list(guardrails)
        self._stage = stage
        self._text = _Reading([(each, Scanner(rule)) for each in guardrails for rule in each.rules], FoldedText())
        # The text with what tag characters spell; from the first of them on, before which it is the same.
        self._spelled: _Reading | None = None
        # Of guardrails that limit the length, until the text exceeds it.
        lengths = [(each, each.guardrail) for each in guardrails if isinstance(each.guardrail, LengthGuardrail)]
        self._limits = [(each, length.characters) for each, length in lengths]
        # Pieces that are not out yet: where each begins in the raw text, its text, its tag.
        self._pieces: deque[tuple[int, str, int]] = deque()
        self._redactions: list[_Redaction] = []
        # Where the first text that blocks begins, and the index of its guardrail.
        self._barrier: tuple[int, int] | None = None
        # Everything before this position of the raw text has been let out or replaced.
        self._out = 0
        self._is_redacting = False

    @property
    def held(self) -> int:
        """The number of characters that have arrived and are not decided."""
        return self._text.folded.raw_length - self._out

    def add_finding(self, guardrail: ConfiguredGuardrail, start: int, stop: int, replacement: str = REDACTED) -> None:
        """Note that a guardrail has found something in this stretch of the raw text, which is not decided yet."""
        if guardrail.action == "redact":
            insort(self._redactions, _Redaction(start, stop, replacement, guardrail))
        else:
            barrier = start, self._guardrails.index(guardrail)
            self._barrier = min(self._barrier or barrier, barrier)

    def hide(self, start: int, stop: int) -> None:
        """Redact a stretch of text that has not arrived yet, because of an earlier finding. It is no new finding."""
        insort(self._redactions, _Redaction(start, stop))

    def feed(self, text: str, tag: int = 0) -> list[tuple[int, str]]:
        """Add text. Returns what comes out, in order, as pieces with their tags."""
        out: list[tuple[int, str]] = []
        for start in range(0, len(text), _BLOCK):
            if self.blocked_by is not None:
                break
            piece = text[start : start + _BLOCK]
            self._pieces.append((self._text.folded.raw_length, piece, tag))
            if self._spelled is None and has_tags(piece):
                self._spelled = self._text.copy()
            self._text.folded.feed(piece)
            if self._spelled is not None:
                self._spelled.folded.feed(spell_tags(piece))
            out += self._advance(is_final=False)
        return out

    def finish(self) -> list[tuple[int, str]]:
        """Say that the text is complete. Returns the rest of what comes out."""
        if self.blocked_by is not None:
            return []
        for reading in self._readings():
            reading.folded.finish()
        return self._advance(is_final=True)

    def _advance(self, *, is_final: bool) -> list[tuple[int, str]]:
        raw_length = self._text.folded.raw_length
        free = raw_length
        for reading in self._readings():
            found, decided = reading.search(is_final=is_final)
            free = min(free, decided)
            for guardrail, start, stop in found:
                self.add_finding(guardrail, start, stop)
        for limit in [each for each in self._limits if raw_length > each[1]]:
            self._limits.remove(limit)
            self.add_finding(*limit, _ENDLESS, "")
        if self._barrier is None or (self._barrier[0] >= free and not is_final):
            return self._let_out(free)
        # Everything that begins at the barrier or before it is decided. So what comes out does not depend on the cuts.
        start, index = self._barrier
        out = self._let_out(start)
        self.blocked_by = self._guardrails[index]
        self._note(self.blocked_by)
        return out

    def _readings(self) -> list[_Reading]:
        return [self._text] if self._spelled is None else [self._text, self._spelled]

    def _let_out(self, stop: int) -> list[tuple[int, str]]:
        """What comes out before this position. Findings after it are not noted: a guardrail may block before them."""
        out: list[tuple[int, str]] = []
        while self._out < stop:
            while self._redactions and self._redactions[0].stop <= self._out:
                self._note(self._redactions.pop(0).by)
            first = self._redactions[0] if self._redactions else _Redaction(stop, stop)
            if first.start > self._out:
                self._is_redacting = False
                out += self._take(min(stop, first.start))
                continue
            if not self._is_redacting and first.replacement:
                out.append((self._pieces[0][2], first.replacement))
            self._is_redacting = True
            self._take(min(stop, first.stop))
        for each in self._redactions:
            if each.start >= stop:
                break
            self._note(each.by)
        return out

    def _note(self, guardrail: ConfiguredGuardrail | None) -> None:
        finding = None if guardrail is None else Finding(guardrail.type, self._stage, guardrail.action)
        if finding is not None and finding not in self.triggers:
            self.triggers.append(finding)

    def _take(self, stop: int) -> list[tuple[int, str]]:
        """Remove the raw text before this position, as pieces with their tags."""
        taken: list[tuple[int, str]] = []
        while self._out < stop:
            start, text, tag = self._pieces[0]
            end = min(stop, start + len(text))
            taken.append((tag, text[self._out - start : end - start]))
            if end == start + len(text):
                self._pieces.popleft()
            self._out = end
        return taken


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
    """The guardrails of one stage. `ask` calls the models of judges; without it judges allow nothing.

    `built` is what `build_guardrails` makes of the configurations. `work` searches long texts in threads, and all texts
    where the patterns are heavy.
    """

    def __init__(
        self,
        configs: Sequence[Mapping[str, Any]],
        stage: Stage,
        *,
        ask: Ask | None = None,
        fails_open: bool = False,
        built: GuardrailSet | None = None,
        work: UserWork | None = None,
    ) -> None:
        """Raises `InvalidRequest`."""
        self.stage: Stage = stage
        self._built = build_guardrails(configs) if built is None else built
        self._guardrails = [each for each in self._built.guardrails if stage in each.stages]
        self._configs = configs
        self._work = work
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
    def is_heavy(self) -> bool:
        """Whether a search may take so long that it belongs into `in_thread`."""
        return self._built.is_heavy

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a function that searches a text, one at a time for each user."""
        if self._work is None:
            return await asyncio.to_thread(function, *args, **kwargs)
        return await self._work.run(function, *args, **kwargs)

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
            unescaped = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1]) or chr(int(found[1][1:], 16)), text)
            decoded = await self._match(self.stream(), [json.clean_text(unescaped.replace("\0", ""))])
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
        judged = await self.in_thread(self._match_json, value)
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
        if self.is_heavy or sum(map(len, texts)) > _LONG:
            return await self.in_thread(_run, guard, texts)
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
            ask, fails_open = self._ask, self._fails_open
            is_allowed = ask is not None and await guardrail.judge(redacted, ask, fails_open=fails_open)
            return [] if is_allowed else everything
        assert isinstance(guardrail, Guardrail)  # noqa: S101  # only guardrails for whole texts are asked
        try:
            found = await guardrail.check(text)
            if isinstance(found, bool):
                return [] if found else everything
            return [(max(0, start), min(stop, len(text))) for start, stop in found if start < stop]
        except Exception:  # noqa: BLE001  # a user's guardrail may raise anything, and then nothing is allowed
            _log.exception("a guardrail failed", extra={"guardrail": configured.type})
            return everything


def _run(guard: StreamGuard, texts: Sequence[str]) -> JudgedValue:
    """Judge texts as one text. `value` is what is left of each."""
    left = [""] * len(texts)
    judged = [piece for number, text in enumerate(texts) for piece in guard.feed(text, number)]
    for tag, piece in judged + guard.finish():
        left[tag] += piece
    return JudgedValue(left, tuple(guard.triggers), guard.blocked_by)

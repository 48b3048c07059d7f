"""Puts the pieces of the tool calls of one streamed chat completion together. Pure.

A piece says whose it is by the `index` of its call, by the call's `id`, or by neither. Servers repeat names and ids,
change ids within a call, number all calls 0, leave both out, or send a call again as a whole. The rules:

- An index decides. Under it, a piece begins another call where it brings a name and another id, or a name after
  complete arguments. A new id without a name is the same call: some servers make a new id for each piece.
- Without an index the id decides; a new one needs a name at some time.
- Without both, a name begins a call. A piece without a name belongs to the only call, or to the last one where all
  calls before it have their arguments.
- A call that is sent twice, with the same name, arguments and id or without an id of its own, is one call.

What these rules cannot put to one call for certain raises an error: a guess would run a tool with the arguments of
another one.
Source: https://developers.openai.com/api/reference/resources/chat (streaming events), read 2026-11-22.
"""

import json
from dataclasses import dataclass, field

from ai_agents.core.types import JsonObject
from ai_agents.providers.assembly import check_count, parse_arguments, raw_arguments
from ai_agents.providers.reading import as_count, as_text

# What a server ties to a call and wants back with it: Gemini's and LiteLLM's fields.
CALL_FIELDS = ("extra_content", "provider_specific_fields")


class UncertainCall(ValueError):
    """A piece of a tool call cannot be put to one call for certain."""


@dataclass(slots=True)
class PartialCall:
    """A tool call whose pieces are still coming. `fields` are those of `CALL_FIELDS` that it has.

    `is_odd`: a piece of the arguments was neither text nor an object that can be read.
    """

    id: str = ""
    index: int | None = None
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    fields: JsonObject = field(default_factory=dict)
    function_fields: JsonObject = field(default_factory=dict)
    is_odd: bool = False

    @property
    def raw(self) -> str:
        """The JSON of the arguments so far; what is no JSON where they are odd."""
        return "".join(["(unreadable) " if self.is_odd else "", *self.pieces])

    def is_complete(self) -> bool:
        """Whether arguments have come, and they can be read."""
        raw = self.raw
        return bool(raw.strip()) and parse_arguments(raw)[1] is None

    def is_same(self, other: "PartialCall") -> bool:
        """Whether both call the same tool with the same arguments."""
        return self.name == other.name and self._meaning() == other._meaning()

    def _meaning(self) -> str:
        arguments, malformed = parse_arguments(self.raw)
        return json.dumps(arguments, sort_keys=True) if malformed is None else malformed


class CallPieces:
    """The calls of one choice, from their pieces."""

    def __init__(self) -> None:
        self.calls: list[PartialCall] = []
        self._at: dict[int, PartialCall] = {}
        # Whether a piece without name, index and id was taken, and one without a name that has one of the others.
        self._took_unmarked = False
        self._took_marked = False

    def add(self, piece: JsonObject) -> None:
        """Take one piece.

        Raises `UncertainCall`, `ProviderError` for one call too many, and ValueError for a piece in another form.
        """
        function = piece.get("function")
        if function is None:
            function = {}
        if not isinstance(function, dict):
            raise ValueError("a function is an object")  # noqa: TRY004  # callers catch one type for all bad data
        index, call_id = as_count(piece.get("index")), as_text(piece.get("id"))
        name = function["name"] if isinstance(function.get("name"), str) else ""
        given = function.get("arguments")
        arguments = raw_arguments(given)
        if index is None and piece.get("index") is not None and not (name or call_id):
            raise UncertainCall("an index cannot be read")
        if not (call_id or name or arguments):
            call = self._at.get(index) if index is not None else self.calls[-1] if self.calls else None
        elif index is not None:
            call = self._at_index(index, call_id, name, arguments)
        elif call_id:
            call = self._with_id(call_id, name)
        else:
            call = self._unmarked(name, arguments)
        if call is None:
            return
        if not name and (index is not None or call_id):
            self._took_marked = True
        call.id = call.id or call_id
        call.name = call.name or name
        if arguments:
            call.pieces.append(arguments)
            is_object = isinstance(given, dict) and arguments.startswith("{")
            call.is_odd = call.is_odd or not (isinstance(given, str) or is_object)
        _keep_fields(call.fields, piece)
        _keep_fields(call.function_fields, function)

    def add_whole(self, pieces: list[JsonObject]) -> None:
        """Take calls that are whole. Those that came in pieces already must be the same. Raises as `add` does."""
        if not self.calls:
            for piece in pieces:
                self.add(piece)
            return
        repeated = CallPieces()
        for piece in pieces:
            repeated.add(piece)
        for call in repeated.calls:
            if not any(call.is_same(before) for before in self.calls):
                raise UncertainCall("a call at the end is not one of those before it")

    def end(self, *, cut: bool) -> list[PartialCall]:
        """The calls, each once. `cut`: the model was stopped, so that the last one may have no name yet."""
        calls = self.calls
        if cut and calls and not calls[-1].name:
            calls = calls[:-1]
        if any(not call.name for call in calls):
            raise UncertainCall("a call has no name")
        if self._took_unmarked and self._took_marked and len(calls) > 1:
            raise UncertainCall("only some pieces say whose they are")
        found: list[PartialCall] = []
        for call in calls:
            if not any(_is_repeated(call, before) for before in found):
                found.append(call)
        return found

    def _at_index(self, index: int, call_id: str, name: str, arguments: str) -> PartialCall:
        call = self._at.get(index)
        if call is None:
            # Its first piece may have had no index.
            named = [each for each in self.calls if call_id and each.id == call_id and each.index is None]
            if len(named) == 1 and name in {"", named[0].name}:
                named[0].index = index
                self._at[index] = named[0]
                return named[0]
            return self._begin(index=index)
        new_id = bool(call_id and call.id and call_id != call.id)
        if new_id and any(each.id == call_id for each in self.calls):
            raise UncertainCall("index and id are of two calls")
        if not (name and call.name):
            return call
        if name == call.name:
            if not new_id and (call_id or not arguments or not call.is_complete()):
                return call
        elif call_id and not new_id:
            raise UncertainCall("a call has two names")
        elif new_id:
            return self._begin(index=index)
        if not call.is_complete():
            raise UncertainCall("a call begins before the arguments of the one before it have ended")
        return self._begin(index=index)

    def _with_id(self, call_id: str, name: str) -> PartialCall:
        same = [each for each in self.calls if each.id == call_id]
        if not same:
            return self._begin()
        if name and name not in {"", same[-1].name} and same[-1].name:
            if not same[-1].is_complete():
                raise UncertainCall("a call has two names")
            return self._begin()
        if len(same) > 1:
            raise UncertainCall("two calls have this id")
        return same[0]

    def _unmarked(self, name: str, arguments: str) -> PartialCall:
        last = self.calls[-1] if self.calls else None
        if name:
            if last is None or last.name != name or (last.is_complete() and arguments):
                return self._begin()
            if last.is_complete() or any(each.id or each.index is not None for each in self.calls):
                raise UncertainCall("a name comes again without an id")
            return last
        if last is None:
            return self._begin()
        if any(not call.is_complete() for call in self.calls[:-1]):
            raise UncertainCall("a piece has neither index nor id")
        self._took_unmarked = True
        return last

    def _begin(self, *, index: int | None = None) -> PartialCall:
        call = PartialCall(index=index)
        self.calls.append(call)
        # At once: each call is compared with the others.
        check_count(len(self.calls))
        if index is not None:
            self._at[index] = call
        return call


def _keep_fields(kept: JsonObject, given: JsonObject) -> None:
    for name in CALL_FIELDS:
        if name in given and isinstance(given[name], dict) and given[name]:
            kept[name] = {**kept.get(name, {}), **given[name]}


def _is_repeated(call: PartialCall, before: PartialCall) -> bool:
    """Whether a call is one that came before it. An id or an index of its own makes it another one."""
    same = call.id == before.id if call.id else call.index == before.index
    return same and call.is_same(before)

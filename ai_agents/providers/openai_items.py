"""The items of a response's output while their events arrive: which event belongs to which item. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ai_agents.core.types import JsonObject
from ai_agents.providers.assembly import check_parts, parse_arguments, raw_arguments
from ai_agents.providers.errors import truncated
from ai_agents.providers.reading import as_count, as_object, as_objects, as_text

# What an item's text is: an answer, a refusal, a summary of reasoning, or reasoning as the model wrote it.
Form = Literal["text", "refusal", "summary", "reasoning"]


@dataclass(eq=False, slots=True)
class OutputItem:
    """An item, as far as its events have told it.

    `ids` are all ids under which it was told: some servers give an item another id in each event. `written` has the
    pieces of its text that were written, by form and index. `begun_as` is the item as its first event told it. `pieces`
    are a call's arguments as its deltas told them, `said` as the event that ended them told them; once the call is
    `done`, `said` is what was written.
    """

    kind: str
    index: int | None
    ids: set[str]
    name: str = ""
    done: bool = False
    reasoning_form: Form | None = None
    written: dict[tuple[Form, int], list[str]] = field(default_factory=dict)
    begun_as: JsonObject = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    said: str = ""
    id: str = ""

    def text_at(self, form: Form, index: int) -> str:
        """What was written of one part."""
        return "".join(self.written.get((form, index), ()))

    def text(self) -> str:
        """All that was written of it."""
        return "".join("".join(pieces) for pieces in self.written.values())

    def text_of(self, form: Form) -> str:
        """What was written of all parts of this form."""
        return "".join("".join(pieces) for (own, _), pieces in self.written.items() if own == form)


class OutputItems:
    """All items of one response, in the order in which they were first told.

    An item is known by its place (`output_index`) and its id. Some servers give no place, the same place or the same id
    to all items, or an item another id in each event; what is left has to name one item for certain.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._items: list[OutputItem] = []
        self._last: tuple[tuple[int | None, str, str], OutputItem] | None = None

    def begin(self, event: JsonObject) -> None:
        """Read the event that an item begins with."""
        told = as_object(event.get("item"))
        kind, name = as_text(told.get("type")), as_text(told.get("name"))
        index, item_id = as_count(event.get("output_index")), as_text(told.get("id"))
        same = [item for item in self._of_kind(kind) if item.index == index and item_id in item.ids]
        if any(item.done and item.name == name for item in same):
            return  # the event was sent twice
        open_same = [item for item in same if not item.done]
        item = open_same[0] if open_same else self._add(kind, index, item_id)
        item.name = item.name or name
        item.begun_as = item.begun_as or told

    def of(self, event: JsonObject, kind: str, *, whole: str | None = None) -> OutputItem:
        """The item that an event belongs to, a new one if there is none. `whole` is the text that the event ends.

        Raises `ProviderTruncated` where it may be one of several.
        """
        index, item_id = as_count(event.get("output_index")), as_text(event.get("item_id"))
        key = (index, item_id, kind)
        if self._last is not None and self._last[0] == key and not self._last[1].done:
            return self._last[1]
        found = self._find(self._open(kind), index, item_id)
        if found is None and kind != "function_call":
            # What comes after the end of a text was in its end already.
            ended = [item for item in self._of_kind(kind) if item.index == index and item_id in item.ids]
            found = ended[0] if ended else self._begun_by(kind, whole)
        found = found or self._add(kind, index, item_id)
        self._last = (key, found)
        return found

    def ended_by(self, event: JsonObject, told: JsonObject) -> OutputItem | None:
        """The item that this event ends; None where it was ended before by the same event."""
        kind = as_text(told.get("type"))
        index = as_count(event.get("output_index"))
        item_id = as_text(told.get("id")) or as_text(event.get("item_id"))
        found = self._find(self._open(kind), index, item_id)
        if found is not None:
            return found
        ended = [item for item in self._of_kind(kind) if item.done and item.index == index and item_id in item.ids]
        if any(_is_told(item, told) for item in ended):
            return None
        return self._begun_by(kind, text_told(told)) or self._add(kind, index, item_id)

    def is_ended_call(self, event: JsonObject, arguments: str) -> bool:
        """Whether the event tells the arguments of a call once more after its end."""
        index, item_id = as_count(event.get("output_index")), as_text(event.get("item_id"))
        calls = [call for call in self._of_kind("function_call") if call.index == index and item_id in call.ids]
        return any(call.done and _read(call.said) == _read(arguments) for call in calls)

    def matched(self, output: Sequence[JsonObject]) -> list[tuple[OutputItem, JsonObject]]:
        """Each item of the terminal event's output with the one that its events told, or with a new one.

        They are matched by id, then by what they hold, then by their order within a kind.
        """
        check_parts(len(output))
        left = list(self._items)
        found: dict[int, OutputItem] = {}
        for is_same in (_has_id_and_place, _has_id, _holds_the_same, _is_of_kind):
            for place, told in enumerate(output):
                own = next((item for item in left if place not in found and is_same(item, told, place)), None)
                if own is not None:
                    found[place] = own
                    left.remove(own)
        return [
            (found.get(place) or self._add(as_text(told.get("type")), None, as_text(told.get("id"))), told)
            for place, told in enumerate(output)
        ]

    def open_calls(self) -> list[OutputItem]:
        """The calls that no event has ended."""
        return self._open("function_call")

    def _of_kind(self, kind: str) -> list[OutputItem]:
        return [item for item in self._items if item.kind == kind]

    def _open(self, kind: str) -> list[OutputItem]:
        return [item for item in self._items if item.kind == kind and not item.done]

    def _find(self, items: list[OutputItem], index: int | None, item_id: str) -> OutputItem | None:
        exact = [item for item in items if item.index == index and item_id in item.ids]
        if exact:
            return self._only(exact)
        if index is None:
            return self._only([item for item in items if item_id in item.ids] if item_id else items)
        at_place = [item for item in items if item.index == index]
        elsewhere = [item for item in items if item.index not in {None, index} and item_id and item_id in item.ids]
        if at_place and elsewhere:
            raise truncated(self._provider, "sent an event that belongs to two items")
        if not at_place:
            return self._only([item for item in items if item.index is None and item_id in item.ids])
        found = self._only(at_place)
        if found is not None:
            found.ids.add(item_id)
        return found

    def _only(self, items: list[OutputItem]) -> OutputItem | None:
        if len(items) > 1:
            raise truncated(self._provider, "sent an event that may belong to any of several items")
        return items[0] if items else None

    def _begun_by(self, kind: str, whole: str | None) -> OutputItem | None:
        """The one open item whose text so far is the beginning of the whole text, under whatever id it came."""
        if not whole:
            return None
        begun = [item for item in self._open(kind) if (text := item.text()) and whole.startswith(text)]
        return begun[0] if len(begun) == 1 else None

    def _add(self, kind: str, index: int | None, item_id: str) -> OutputItem:
        item = OutputItem(kind, index, {item_id}, id=item_id)
        self._items.append(item)
        check_parts(len(self._items))
        self._last = None
        return item


def same_arguments(tellings: Sequence[str]) -> str | None:
    """The arguments that all these texts tell; None where two differ. One may be the beginning of another."""
    longest = max(tellings, key=len)
    for telling in tellings:
        if not longest.startswith(telling) and _read(telling) != _read(longest):
            return None
    return longest


def text_told(told: JsonObject) -> str:
    """The text of a whole message or of whole reasoning: of its summary, if it has one."""
    for name, parts in (("summary", as_objects(told.get("summary"))), ("content", content_told(told))):
        texts = [part_text(part) for part in parts]
        if any(texts):
            return ("\n\n" if name == "summary" else "").join(texts)
    return ""


def content_told(told: JsonObject) -> list[JsonObject]:
    """The parts of a whole item's content, which may be a text."""
    content = told.get("content")
    return [{"type": "output_text", "text": content}] if isinstance(content, str) else as_objects(content)


def part_text(part: JsonObject) -> str:
    """The text of a part of an item, or the words of its refusal."""
    return as_text(part.get("refusal")) if part.get("type") == "refusal" else as_text(part.get("text"))


def _is_told(item: OutputItem, told: JsonObject) -> bool:
    """Whether a whole item tells what is known of this one."""
    if item.kind != "function_call":
        return item.text() == text_told(told)
    name, raw = as_text(told.get("name")), raw_arguments(told.get("arguments"))
    return item.name == name and item.done and _read(item.said) == _read(raw)


def _has_id_and_place(item: OutputItem, told: JsonObject, place: int) -> bool:
    return _has_id(item, told, place) and item.index == place


def _has_id(item: OutputItem, told: JsonObject, _place: int) -> bool:
    item_id = as_text(told.get("id"))
    return _is_of_kind(item, told, _place) and item_id != "" and item_id in item.ids


def _holds_the_same(item: OutputItem, told: JsonObject, _place: int) -> bool:
    return _is_of_kind(item, told, _place) and _is_told(item, told)


def _is_of_kind(item: OutputItem, told: JsonObject, _place: int) -> bool:
    return item.kind == as_text(told.get("type"))


def _read(raw: str) -> str:
    """One text for equal arguments."""
    arguments, malformed = parse_arguments(raw)
    return malformed if malformed is not None else json.dumps(arguments, sort_keys=True)

"""How a message's files go to a model: as they are, as the text that is in them, or by their names.

First it is planned for a whole window, from what is known of each file; then the bytes and texts are read of what is
sent, and of nothing else. Both depend on the history and the model alone, so that a request begins as the one before.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS, beginning_of, has_text_to_extract
from ai_agents.attachments.kinds import IMAGES, TEXTS
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import UnsupportedAttachment
from ai_agents.core.types import FileContent, FilePart, ModelMessage, Part
from ai_agents.providers.files import FileRules

Loc = tuple[str | int, ...]
# Read from the storage at once.
_PARALLEL = 4
_NAME = FileContent("name")
_TEXT = FileContent("text")
_DATA = FileContent("data")
_CUT = "\n[The rest of the file is left out: it is too long.]"


@dataclass(slots=True)
class _Budget:
    """What one request may still take of files as they are."""

    rules: FileRules
    images: int
    pages: int
    total_bytes: int

    @classmethod
    def of(cls, rules: FileRules) -> "_Budget":
        return cls(rules, rules.max_images, rules.max_pages, rules.max_total_bytes)

    def take(self, part: FilePart) -> str | None:
        """Count a file in; where it cannot go as it is, why."""
        rules, facts = self.rules, part.facts or {}
        is_image = part.media_type in IMAGES
        if not rules.takes(part.media_type):
            return f"the model takes no {part.media_type}"
        if is_image and part.size_bytes > rules.max_image_bytes:
            return f"the model takes images of at most {rules.max_image_bytes} bytes"
        if is_image and max(facts.get("width", 0), facts.get("height", 0)) > rules.max_image_edge:
            return f"the model takes images of at most {rules.max_image_edge} pixels on a side"
        pages = 0 if is_image else facts.get("pages") or 0
        if pages > self.pages:
            return f"the model takes at most {rules.max_pages} pages at once"
        if is_image and not self.images:
            return f"the model takes at most {rules.max_images} images at once"
        if part.size_bytes > self.total_bytes:
            return f"the model takes at most {rules.max_total_bytes} bytes of files at once"
        self.images -= is_image
        self.pages -= pages
        self.total_bytes -= part.size_bytes
        return None


def check_files(files: Iterable[tuple[FilePart, Loc]], rules: FileRules) -> None:
    """Raises `UnsupportedAttachment` for the first of a message's files that the model can be given in no form.

    It names the file, and its place in the request.
    """
    budget = _Budget.of(rules)
    for part, loc in files:
        _form(part, budget, loc)


def plan_files(
    messages: Sequence[ModelMessage], rules: FileRules, *, strict: bool = True, guarded_by: str | None = None
) -> tuple[ModelMessage, ...]:
    """The messages, each of their files with the form in which it goes to the model.

    The newest come first where not all can go. What the model cannot be given goes by its name; if `strict`, the files
    of the last user's message raise `UnsupportedAttachment` instead. `guarded_by` names what guardrails judge texts:
    a document in which those have not looked for everything goes as its text.
    """
    if not any(isinstance(part, FilePart) for message in messages for part in message.parts):
        return tuple(messages)
    budget = _Budget.of(rules)
    newest = max((index for index, message in enumerate(messages) if strict and message.role == "user"), default=-1)
    planned = list(messages)
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if any(isinstance(part, FilePart) for part in message.parts):
            parts = _planned(message.parts, budget, guarded_by, required=index == newest)
            planned[index] = replace(message, parts=parts)
    return tuple(planned)


async def load_files(messages: Sequence[ModelMessage], blobs: BlobStore | None) -> tuple[ModelMessage, ...]:
    """The messages with the bytes and texts of their files. Without a storage they go by their names.

    Raises `StorageUnavailable`.
    """
    wanted = {
        (part.facts["sha256"], part.content.form): part
        for message in messages
        for part in message.parts
        if isinstance(part, FilePart) and part.content and part.content.form != "name" and part.facts
    }
    if not wanted:
        return tuple(messages)
    found: dict[tuple[str, str], FileContent] = {}
    if blobs is not None:
        turns = asyncio.Semaphore(_PARALLEL)

        async def load(key: tuple[str, str], part: FilePart) -> None:
            async with turns:
                found[key] = await _load(part, blobs, sha256=key[0], form=key[1])

        try:
            async with asyncio.TaskGroup() as group:
                for key, part in wanted.items():
                    group.create_task(load(key, part))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
    return tuple(_with_content(message, found) for message in messages)


def _planned(parts: Sequence[Part], budget: _Budget, guarded_by: str | None, *, required: bool) -> tuple[Part, ...]:
    planned: list[Part] = []
    for part in parts:
        if not isinstance(part, FilePart):
            planned.append(part)
            continue
        try:
            content = _TEXT if _is_for_guards(part, guarded_by) else _form(part, budget)
        except UnsupportedAttachment:
            if required:
                raise
            content = _NAME
        planned.append(replace(part, content=content))
    return tuple(planned)


def _form(part: FilePart, budget: _Budget, loc: Loc = ()) -> FileContent:
    """As it is where the model takes it so, else as its text. Raises `UnsupportedAttachment`."""
    if part.media_type in TEXTS:
        return _TEXT
    reason = budget.take(part)
    if reason is None:
        return _DATA
    if has_text_to_extract(part.media_type):
        if (part.facts or {}).get("text_tokens"):
            return _TEXT
        reason += ", and there is no text in it"
    raise UnsupportedAttachment(f"{part.filename} cannot be sent: {reason}.", loc=loc)


def _is_for_guards(part: FilePart, guarded_by: str | None) -> bool:
    """Whether only what guardrails leave of a document's text may be sent: they found something in it, or it was not
    they who looked. One without text, a scan for one, shows them nothing.
    """
    facts = part.facts or {}
    is_clean = "hidden" not in facts and (guarded_by is None or facts.get("clean_for") == guarded_by)
    return not is_clean and has_text_to_extract(part.media_type) and bool(facts.get("text_tokens"))


async def read_text(part: FilePart, blobs: BlobStore | None) -> str:
    """The text that a model may be shown of a file; "" where there is none. Raises `StorageUnavailable`."""
    is_text = part.media_type in TEXTS or has_text_to_extract(part.media_type)
    if blobs is None or not is_text or not part.facts:
        return ""
    return (await _load(part, blobs, sha256=part.facts["sha256"], form="text")).text


async def _load(part: FilePart, blobs: BlobStore, *, sha256: str, form: str) -> FileContent:
    if form == "data":
        return FileContent("data", data=await blobs.read(sha256))
    if has_text_to_extract(part.media_type):
        drawn = await blobs.find_text(sha256)
        if drawn is None:
            return _NAME
        text, cut = drawn, bool((part.facts or {}).get("cut"))
    else:
        content = await blobs.read(sha256)
        text = beginning_of(content)
        cut = len(text) >= MAX_TEXT_CHARACTERS
    return FileContent("text", text=text + _CUT if cut else text)


def _with_content(message: ModelMessage, found: dict[tuple[str, str], FileContent]) -> ModelMessage:
    if not any(isinstance(part, FilePart) for part in message.parts):
        return message
    parts = tuple(_filled(part, found) if isinstance(part, FilePart) else part for part in message.parts)
    return replace(message, parts=parts)


def _filled(part: FilePart, found: dict[tuple[str, str], FileContent]) -> FilePart:
    form = "name" if part.content is None else part.content.form
    return replace(part, content=found.get(((part.facts or {}).get("sha256", ""), form), _NAME))

"""How the files of messages are sent to a model: as they are, as their text, or by their names.

First the forms are planned for a whole window, from the facts of each file. Then the bytes and texts of the files that
are sent are read. Both depend only on the history and the model, so that a request begins like the previous one.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS, beginning_of, has_text_to_extract
from ai_agents.attachments.kinds import IMAGES, TEXTS
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import BlobMissing, UnsupportedAttachment
from ai_agents.core.types import FileContent, FilePart, Loc, ModelMessage
from ai_agents.providers.files import FileRules

# How many files are read from the storage at the same time.
_PARALLEL = 4
_NAME = FileContent("name")
_TEXT = FileContent("text")
_DATA = FileContent("data")
_CUT = "\n[The rest of the file is left out: it is too long.]"


class _Budget:
    """How many files one request can still take as they are."""

    def __init__(self, rules: FileRules) -> None:
        self._rules = rules
        self._images, self._pages, self._total_bytes = rules.max_images, rules.max_pages, rules.max_total_bytes

    def take(self, part: FilePart) -> str | None:
        """Count a file that is sent as it is. If that is not possible, return the reason."""
        rules, facts = self._rules, part.facts or {}
        is_image = part.media_type in IMAGES
        if part.media_type not in rules.media_types:
            return f"the model takes no {part.media_type}"
        if is_image and part.size_bytes > rules.max_image_bytes:
            return f"the model takes images of at most {rules.max_image_bytes} bytes"
        if is_image and max(facts.get("width", 0), facts.get("height", 0)) > rules.max_image_edge:
            return f"the model takes images of at most {rules.max_image_edge} pixels on a side"
        pages = 0 if is_image else facts.get("pages") or 0
        if pages > self._pages:
            return f"the model takes at most {rules.max_pages} pages at once"
        if is_image and not self._images:
            return f"the model takes at most {rules.max_images} images at once"
        if part.size_bytes > self._total_bytes:
            return f"the model takes at most {rules.max_total_bytes} bytes of files at once"
        self._images -= is_image
        self._pages -= pages
        self._total_bytes -= part.size_bytes
        return None


def check_files(files: Iterable[tuple[FilePart, Loc]], rules: FileRules) -> None:
    """Raises `UnsupportedAttachment` for the first file of a message that the model cannot take in any form.

    Each file comes with its location in the request.
    """
    budget = _Budget(rules)
    for part, loc in files:
        _form(part, budget, loc)


def plan_files(
    messages: Sequence[ModelMessage], rules: FileRules, *, strict: bool = True, guarded_by: str | None = None
) -> tuple[ModelMessage, ...]:
    """The messages, with the form in which each file is sent.

    If the model cannot take all files, the newest have priority. A file that it cannot take is sent by its name; with
    `strict` it raises `UnsupportedAttachment` if it is in the last user message. `guarded_by` is the key of the
    guardrails that judge texts: a document that they have not judged, or not allowed, is sent as its text.
    """
    if not any(isinstance(part, FilePart) for message in messages for part in message.parts):
        return tuple(messages)
    budget = _Budget(rules)
    newest = max((index for index, message in enumerate(messages) if strict and message.role == "user"), default=-1)
    planned = list(messages)
    for index in range(len(messages) - 1, -1, -1):
        content_of = partial(_planned, budget=budget, guarded_by=guarded_by, is_required=index == newest)
        planned[index] = _with_contents(messages[index], content_of)
    return tuple(planned)


async def load_files(
    messages: Sequence[ModelMessage], blobs: BlobStore | None, *, with_data: bool = True
) -> tuple[ModelMessage, ...]:
    """The messages, with the bytes and texts of their files. Without a storage the files are sent by their names.

    Without `with_data` the texts alone are read. Raises `StorageUnavailable`, and `BlobMissing` where a file is gone.
    """
    parts = [part for message in messages for part in message.parts if isinstance(part, FilePart)]
    wanted = {_load_key(part): part for part in parts if part.content and part.content.form != "name" and part.facts}
    found: dict[tuple[str, str], FileContent] = {}
    if blobs is not None:
        limit = asyncio.Semaphore(_PARALLEL)

        async def load(part: FilePart, form: str) -> FileContent:
            if form == "data" and not with_data:
                return _DATA
            async with limit:
                return await _load(part, blobs, form)

        contents = await asyncio.gather(*(load(part, form) for (_, form), part in wanted.items()))
        found = dict(zip(wanted, contents, strict=True))
    return tuple(_with_contents(message, lambda part: found.get(_load_key(part), _NAME)) for message in messages)


async def read_text(part: FilePart, blobs: BlobStore | None) -> str:
    """The text of a file that a model may receive; "" if there is none. Raises `StorageUnavailable`."""
    is_text = part.media_type in TEXTS or has_text_to_extract(part.media_type)
    if blobs is None or not is_text or not part.facts:
        return ""
    return (await _load(part, blobs, "text")).text


def _with_contents(message: ModelMessage, content_of: Callable[[FilePart], FileContent]) -> ModelMessage:
    if not any(isinstance(part, FilePart) for part in message.parts):
        return message
    parts = (replace(part, content=content_of(part)) if isinstance(part, FilePart) else part for part in message.parts)
    return replace(message, parts=tuple(parts))


def _planned(part: FilePart, *, budget: _Budget, guarded_by: str | None, is_required: bool) -> FileContent:
    """The form of one file. Only the redacted text of a document may be sent if guardrails found something in it, or
    have not judged it. A document without text, for example a scan, is not judged.
    """
    if part.deleted:
        return _NAME
    facts = part.facts or {}
    is_clean = "hidden" not in facts and (guarded_by is None or facts.get("clean_for") == guarded_by)
    if not is_clean and has_text_to_extract(part.media_type) and facts.get("text_tokens"):
        return _TEXT
    try:
        return _form(part, budget)
    except UnsupportedAttachment:
        if is_required:
            raise
        return _NAME


def _form(part: FilePart, budget: _Budget, loc: Loc = ()) -> FileContent:
    """As it is if the model takes it, otherwise as its text. Raises `UnsupportedAttachment`."""
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


def _load_key(part: FilePart) -> tuple[str, str]:
    return (part.facts or {}).get("sha256", ""), "name" if part.content is None else part.content.form


async def _load(part: FilePart, blobs: BlobStore, form: str) -> FileContent:
    facts = part.facts or {}
    if form == "data":
        return FileContent("data", data=await blobs.read(facts["sha256"]))
    if has_text_to_extract(part.media_type):
        text, is_cut = await blobs.find_text(facts["sha256"]), bool(facts.get("cut"))
        if text is None and not await blobs.exists(facts["sha256"]):
            raise BlobMissing
    else:
        text = beginning_of(await blobs.read(facts["sha256"]))
        is_cut = len(text) >= MAX_TEXT_CHARACTERS
    return _NAME if text is None else FileContent("text", text=text + _CUT if is_cut else text)

"""Files in requests: the rules for what a model accepts, and the encodings that all wire formats share."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ai_agents.core.types import FilePart, JsonObject, ModelMessage
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.rendering import visible_texts

PDF = "application/pdf"
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MB = 1_000_000
# Bytes of a file per byte of its base64.
BASE64_RATIO = 3 / 4


@dataclass(frozen=True, slots=True)
class FileRules:
    """Which files a model accepts as they are. Other files go as the text that is in them, or by their name.

    Sizes are those of the files themselves. Images with a side of more than `max_image_edge` pixels are refused, and so
    is a request with more than `max_images` images or `max_pages` pages of documents.
    """

    media_types: frozenset[str] = frozenset()
    max_image_bytes: int = 20 * MB
    max_image_edge: int = 30_000
    max_images: int = 100
    max_pages: int = 100
    max_total_bytes: int = 24 * MB


NO_FILES = FileRules()
ONLY_IMAGES = FileRules(IMAGES)
ANY_FILES = FileRules(IMAGES | {PDF})


def with_quirks(rules: FileRules, quirks: Quirks) -> FileRules:
    """The rules for a model of a server with these quirks."""
    if quirks.images is None and quirks.documents is None:
        return rules
    media_types = rules.media_types
    for takes, kinds in ((quirks.images, IMAGES), (quirks.documents, frozenset({PDF}))):
        if takes is not None and takes != bool(media_types & kinds):
            media_types = media_types | kinds if takes else media_types - kinds
    return replace(rules, media_types=media_types)


def sent_as(part: FilePart) -> Literal["image", "document"] | None:
    """How the request holds the bytes of this file; None for a file that goes by its name or as text."""
    if part.content is None or part.content.form != "data":
        return None
    return "image" if part.media_type in IMAGES else "document" if part.media_type == PDF else None


def encoded(part: FilePart) -> str:
    """The bytes of the file in base64."""
    return "" if part.content is None else b64encode(part.content.data).decode()


def data_url(part: FilePart) -> str:
    """The file as a URL that holds its bytes."""
    return f"data:{part.media_type};base64,{encoded(part)}"


def document_name(part: FilePart) -> str:
    """The name of a document. The APIs require one."""
    return part.filename if part.filename.strip() else "document.pdf"


def parts_with_files(
    message: ModelMessage, file_to_wire: Callable[[FilePart], JsonObject | None], *, text_type: str
) -> list[JsonObject] | None:
    """A user's message as a list of parts, files and texts in their order; None where no file goes as it is."""
    files = {index: file_to_wire(part) for index, part in enumerate(message.parts) if isinstance(part, FilePart)}
    if not any(files.values()):
        return None
    parts: list[JsonObject] = []
    for index, part in enumerate(message.parts):
        file = files.get(index)
        if file is not None:
            parts.append(file)
        else:
            parts += [{"type": text_type, "text": text} for text in visible_texts([part])]
    return parts

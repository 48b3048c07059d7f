"""Files in requests: the rules for what a model accepts, and the encodings that all wire formats share."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from ai_agents.core.types import FilePart, JsonObject, ModelMessage
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

    def takes(self, media_type: str) -> bool:
        """Whether files of this type can go as they are."""
        return media_type in self.media_types


NO_FILES = FileRules()
ONLY_IMAGES = FileRules(IMAGES)
ANY_FILES = FileRules(IMAGES | {PDF})


def is_image(part: FilePart) -> bool:
    """Whether the request holds the bytes of this file, and they are an image."""
    return _has_bytes(part) and part.media_type in IMAGES


def is_pdf(part: FilePart) -> bool:
    """Whether the request holds the bytes of this file, and they are a PDF."""
    return _has_bytes(part) and part.media_type == PDF


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


def _has_bytes(part: FilePart) -> bool:
    return part.content is not None and part.content.form == "data"

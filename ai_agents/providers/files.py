"""Files as the providers take them: which ones as they are, within which limits, and in which form.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support (dimensions, 20
and more images, pages, size of a request); that an image's 5 MB are those of its base64:
https://github.com/lobehub/lobehub/pull/14711; https://developers.openai.com/api/docs/guides/images-vision and
…/guides/pdf-files; https://docs.ollama.com/capabilities/vision and https://ollama.com/search?c=vision.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from ai_agents.core.types import FilePart, JsonObject, ModelMessage
from ai_agents.providers.rendering import visible_texts

PDF = "application/pdf"
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MB = 1_000_000
# Base64 makes four bytes of three.
_BASE64 = 3 / 4


@dataclass(frozen=True, slots=True)
class FileRules:
    """Which files a model takes as they are; all others go as the text that is in them, or not at all.

    Sizes are those of the files themselves. Images of more than `max_image_edge` pixels on a side are refused, and so
    are more than `max_images` of them and more than `max_pages` of documents in one request.
    """

    media_types: frozenset[str] = frozenset()
    max_image_bytes: int = 20 * _MB
    max_image_edge: int = 30_000
    max_images: int = 100
    max_pages: int = 100
    max_total_bytes: int = 24 * _MB

    def takes(self, media_type: str) -> bool:
        """Whether files of this type can go as they are."""
        return media_type in self.media_types


NO_FILES = FileRules()
ANY_FILES = FileRules(IMAGES | {PDF})
# Beyond 20 images Claude wants them smaller than most are.
_CLAUDE = FileRules(
    IMAGES | {PDF},
    max_image_bytes=int(5 * 1024 * 1024 * _BASE64),
    max_image_edge=8_000,
    max_images=20,
    max_total_bytes=int(30 * _MB * _BASE64),
)
_ONLY_IMAGES = FileRules(IMAGES)
_OLD_CLAUDE = re.compile(r"claude-(instant|2)")
# PDFs came with 3.5.
_CLAUDE_WITHOUT_PDF = re.compile(r"claude-3-(opus|sonnet|haiku)|(?!claude)")

_GPT_WITHOUT_EYES = re.compile(r"gpt-3|gpt-4(-\d{4}(-preview)?|-32k\S*)?$|o1-(mini|preview)|o3-mini|gpt-oss|gpt-audio")
_GPT = re.compile(r"gpt-4o|gpt-4\.|gpt-4-turbo|chatgpt-|gpt-[5-9]|o[1-9](-|$)")

# What Ollama's library lists as able to see. Its server only says so of a model that is there, and only when asked.
_OLLAMA_SEES = re.compile(
    r"llava|moondream|minicpm-v|vision|qwen[0-9.]*-?vl|gemma3(?!n|:(270m|1b))|gemma[4-9]|llama4|mistral-small3\.[1-9]"
    r"|ministral-3|mistral-large-3|pixtral|internvl|-ocr|glm-[0-9.]+v|qwen3\.5|kimi-k2\.5",
    re.IGNORECASE,
)
_OLLAMA_IMAGES = FileRules(frozenset({"image/png", "image/jpeg", "image/webp"}))


def anthropic_files(model: str) -> FileRules:
    """What this model takes over Anthropic's API; one that is not Claude is taken to see, and not to read PDFs."""
    if _OLD_CLAUDE.match(model):
        return NO_FILES
    return _ONLY_IMAGES if _CLAUDE_WITHOUT_PDF.match(model) else _CLAUDE


def openai_files(model: str) -> FileRules:
    """What this model takes over OpenAI's APIs; an unknown one is taken to see, and not to read PDFs."""
    name = model.removeprefix("ft:")
    if _GPT_WITHOUT_EYES.match(name):
        return NO_FILES
    return ANY_FILES if _GPT.match(name) else _ONLY_IMAGES


def ollama_files(model: str) -> FileRules:
    """What this model takes, as far as its name tells."""
    return _OLLAMA_IMAGES if _OLLAMA_SEES.search(model) else NO_FILES


def built_in_files(provider: str, model: str) -> FileRules:
    """What a model takes of a provider that comes with the framework; of others nothing is known."""
    match provider:
        case "anthropic":
            return anthropic_files(model)
        case "openai":
            return openai_files(model)
        case "ollama":
            return ollama_files(model)
        case "echo":
            return ANY_FILES
    return NO_FILES


# Forms.


def is_sent(part: FilePart, media_types: frozenset[str]) -> bool:
    """Whether the request holds this file's bytes, and they are of a type that goes as it is."""
    return part.content is not None and part.content.form == "data" and part.media_type in media_types


def encoded(part: FilePart) -> str:
    """The file's bytes in base64."""
    return "" if part.content is None else b64encode(part.content.data).decode()


def data_url(part: FilePart) -> str:
    """The file as a URL that holds it."""
    return f"data:{part.media_type};base64,{encoded(part)}"


def _name(part: FilePart) -> str:
    """The file's name, which the APIs want to be there."""
    return part.filename if part.filename.strip() else "document.pdf"


def parts_with_files(
    message: ModelMessage, to_part: Callable[[FilePart], JsonObject | None], *, text_type: str
) -> list[JsonObject] | None:
    """A user's message as a list of parts, files and texts in their order; None where no file goes as it is."""
    files = {index: to_part(part) for index, part in enumerate(message.parts) if isinstance(part, FilePart)}
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


def anthropic_block(part: FilePart) -> JsonObject | None:
    """An image or document block; None for a file that goes by its name or as text."""
    source = {"type": "base64", "media_type": part.media_type}
    if is_sent(part, IMAGES):
        return {"type": "image", "source": source | {"data": encoded(part)}}
    if is_sent(part, frozenset({PDF})):
        return {"type": "document", "source": source | {"data": encoded(part)}, "title": _name(part)}
    return None


def chat_part(part: FilePart) -> JsonObject | None:
    """A part of a chat completion's message; None for a file that goes by its name or as text."""
    if is_sent(part, IMAGES):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if is_sent(part, frozenset({PDF})):
        return {"type": "file", "file": {"filename": _name(part), "file_data": data_url(part)}}
    return None


def responses_part(part: FilePart) -> JsonObject | None:
    """A part of an input message of the Responses API; None for a file that goes by its name or as text."""
    if is_sent(part, IMAGES):
        return {"type": "input_image", "image_url": data_url(part)}
    if is_sent(part, frozenset({PDF})):
        return {"type": "input_file", "filename": _name(part), "file_data": data_url(part)}
    return None

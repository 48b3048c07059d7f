"""The published rules for files in requests.

Sources, read 2026-11-22: https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support (kinds, sizes,
pages), https://platform.claude.com/docs/en/api/messages (blocks); that the 5 MB of an image are those of its base64:
https://github.com/lobehub/lobehub/pull/14711; https://developers.openai.com/api/docs/guides/images-vision and
…/guides/pdf-files; https://docs.ollama.com/capabilities/vision, with base64 and no data URL:
https://github.com/BerriAI/litellm/issues/15464.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Any

from tests.fakes.broken import only, refuse

_MAGIC = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF....WEBP",
    "application/pdf": rb"%PDF-",
}
_IMAGES = {kind for kind in _MAGIC if kind.startswith("image/")}
_PDF = "application/pdf"
_MAX_CLAUDE_IMAGE = 5 * 1024 * 1024
_DATA_URL = re.compile(r"data:([a-z/]+);base64,(.*)", re.DOTALL)
_CLAUDE_BLIND = re.compile(r"claude-(instant|2)")
_CLAUDE_NO_PDF = re.compile(r"claude-3-(opus|sonnet|haiku)")
_GPT_BLIND = re.compile(r"gpt-3|gpt-4(-\d{4}|-32k\S*)?$|o1-mini|o3-mini")
_GPT = re.compile(r"(ft:)?(gpt-|o[1-9]|chatgpt-)")
_OLLAMA_SEES = re.compile(r"llava|vision|gemma3|-?vl")


def check_anthropic_block(where: str, block: Mapping[str, Any], model: str) -> None:
    """Raise `BrokenRule` for an image or document block that would be refused."""
    source = block.get("source") or refuse(f"{where}.source: Field required")
    only({"type", "media_type", "data"}, source, f"{where}.source.")
    if source["type"] != "base64":
        refuse(f"{where}.source.type: not known")
    if block["type"] == "image":
        only({"type", "source", "cache_control"}, block, f"{where}.image.")
        if _CLAUDE_BLIND.match(model):
            refuse("This model does not support image input.")
        _check_data(where, source["media_type"], source["data"], _IMAGES)
        if len(source["data"]) > _MAX_CLAUDE_IMAGE:
            refuse(f"{where}.source.base64: image exceeds 5 MB maximum")
        return
    only({"type", "source", "title", "context", "citations", "cache_control"}, block, f"{where}.document.")
    if _CLAUDE_BLIND.match(model) or _CLAUDE_NO_PDF.match(model):
        refuse(f"'{model}' does not support PDF input.")
    if "title" in block and not 1 <= len(block["title"]) <= 500:
        refuse(f"{where}.title: at least 1 and at most 500 characters")
    _check_data(where, source["media_type"], source["data"], {_PDF})


def check_openai_content(where: str, content: Any, model: str) -> None:
    """Raise `BrokenRule` for the content of a user's message that chat completions would refuse."""
    if isinstance(content, str) and content:
        return
    if not isinstance(content, list) or not content:
        refuse(f"{where}: Invalid value for 'content': expected a string, got null")
    for part in content:
        match part.get("type"):
            case "text":
                only({"type", "text"}, part, f"{where}.content.")
                if not part["text"]:
                    refuse(f"{where}.content: empty")
            case "image_url":
                only({"type", "image_url"}, part, f"{where}.content.")
                only({"url", "detail"}, part["image_url"], f"{where}.content.image_url.")
                _check_openai_image(where, part["image_url"]["url"], model)
            case "file":
                only({"type", "file"}, part, f"{where}.content.")
                only({"filename", "file_data"}, part["file"], f"{where}.content.file.")
                _check_openai_file(where, part["file"], model)
            case other:
                refuse(f"{where}.content: Invalid value: {other!r}")


def check_responses_part(where: str, part: Mapping[str, Any], model: str) -> None:
    """Raise `BrokenRule` for a file in an input message that Responses would refuse."""
    if part["type"] == "input_image":
        only({"type", "image_url", "detail"}, part, f"{where}.content.")
        _check_openai_image(where, part["image_url"], model)
    else:
        only({"type", "filename", "file_data"}, part, f"{where}.content.")
        _check_openai_file(where, part, model)


def check_ollama_images(where: str, images: Any, model: str) -> None:
    """Raise `BrokenRule` for images that Ollama would refuse, or that this model cannot see."""
    if not isinstance(images, list) or not images:
        refuse(f"{where}.images: a list is wanted")
    if not _OLLAMA_SEES.search(model):
        refuse(f"{where}.images: {model} does not see them")
    for data in images:
        decoded = _decoded(where, data)
        if not any(re.match(_MAGIC[kind], decoded, re.DOTALL) for kind in ("image/png", "image/jpeg", "image/webp")):
            refuse(f"{where}.images: image: unknown format")


def _check_openai_image(where: str, url: str, model: str) -> None:
    if _GPT_BLIND.match(model):
        refuse("Invalid content type. image_url is only supported by certain models.")
    found = _DATA_URL.fullmatch(url) or refuse(f"{where}: Expected a base64-encoded data URL")
    _check_data(where, found[1], found[2], _IMAGES)


def _check_openai_file(where: str, file: Mapping[str, Any], model: str) -> None:
    if not _GPT.match(model) or _GPT_BLIND.match(model):
        refuse(f"{where}: this server knows no parts of type 'file'")
    if not file.get("filename", "").strip():
        refuse(f"{where}: Missing required parameter: 'file.filename'")
    found = _DATA_URL.fullmatch(file["file_data"]) or refuse(f"{where}: Expected a base64-encoded data URL")
    _check_data(where, found[1], found[2], {_PDF})


def _check_data(where: str, media_type: str, data: str, kinds: set[str]) -> None:
    if media_type not in kinds:
        refuse(f"{where}: {media_type!r} is not supported")
    if not re.match(_MAGIC[media_type], _decoded(where, data), re.DOTALL):
        refuse(f"{where}: the file does not match the media type {media_type}")


def _decoded(where: str, data: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except Error:
        return refuse(f"{where}: invalid base64")

"""The models that servers list, read from what each type of server answers. What cannot be read is left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# The longest list known has some hundreds.
MAX_LISTED = 5000
_MAX_TEXT = 200
# Under these names servers tell a model's window: vLLM, Groq, OpenRouter and Together, Mistral, LM Studio.
_WINDOWS = ("max_model_len", "context_window", "context_length", "max_context_length", "loaded_context_length")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that a server lists. `name` is for people; `context_window` is in tokens. None where it says none."""

    id: str
    name: str | None = None
    context_window: int | None = None


def openai_models(body: Any) -> list[ListedModel]:
    """The models of OpenAI's list, or of a compatible server's, which may be a bare array.

    Source: https://developers.openai.com/api/reference/resources/models.
    """
    entries = body.get("data") if isinstance(body, dict) else body
    return _models(entries, id_key="id", name_key="name")


def anthropic_models(body: Any) -> list[ListedModel]:
    """The models of one page of Anthropic's list.

    Source: https://platform.claude.com/docs/en/api/models/list.
    """
    return _models(_get(body, "data"), id_key="id", name_key="display_name", windows=("max_input_tokens",))


def anthropic_next_page(body: Any) -> str | None:
    """The id after which the next page of Anthropic's list begins; None on the last one."""
    last = _get(body, "last_id")
    return last if _get(body, "has_more") is True and isinstance(last, str) and last else None


def ollama_models(body: Any) -> list[ListedModel]:
    """The models that are on an Ollama server. Source: https://docs.ollama.com/api/tags."""
    return _models(_get(body, "models"), id_key="name", name_key="")


def gemini_models(body: Any) -> list[ListedModel]:
    """The models of one page of Gemini's list that generate content, under the names that requests have.

    Source: https://ai.google.dev/api/models.
    """
    entries = _get(body, "models")
    found = [
        {**entry, "name": name.removeprefix("models/")}
        for entry in (entries if isinstance(entries, list) else ())
        if (name := _text(_get(entry, "name"))) is not None and _generates(_get(entry, "supportedGenerationMethods"))
    ]
    return _models(found, id_key="name", name_key="displayName", windows=("inputTokenLimit",))


def gemini_next_page(body: Any) -> str | None:
    """The token of the next page of Gemini's list; None on the last one."""
    token = _get(body, "nextPageToken")
    return token if isinstance(token, str) and token else None


def _generates(methods: Any) -> bool:
    return not isinstance(methods, list) or "generateContent" in methods


def _models(entries: Any, *, id_key: str, name_key: str, windows: Iterable[str] = _WINDOWS) -> list[ListedModel]:
    found: dict[str, ListedModel] = {}
    for entry in entries if isinstance(entries, list) else ():
        model_id = _text(_get(entry, id_key))
        if model_id is None:
            continue
        sizes = (_get(entry, key) for key in windows)
        window = next((size for size in sizes if type(size) is int and size > 0), None)
        found.setdefault(model_id, ListedModel(model_id, _text(_get(entry, name_key)), window))
        if len(found) == MAX_LISTED:
            break
    return list(found.values())


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable() else None

"""What Ollama's models accept, as far as a model's name tells.

Ollama's server knows it only of models that it has, and only when asked. Sources, read 2026-11-22:
https://docs.ollama.com/capabilities/vision and https://ollama.com/search?c=vision.
"""

import re

from ai_agents.providers.files import NO_FILES, FileRules

NAME = "ollama"
# The models that Ollama's library lists as able to see.
_WITH_IMAGES = re.compile(
    r"llava|moondream|minicpm-v|vision|qwen[0-9.]*-?vl|gemma3(?!n|:(270m|1b))|gemma[4-9]|llama4|mistral-small3\.[1-9]"
    r"|ministral-3|mistral-large-3|pixtral|internvl|-ocr|glm-[0-9.]+v|qwen3\.5|kimi-k2\.5",
    re.IGNORECASE,
)
_IMAGES = FileRules(frozenset({"image/png", "image/jpeg", "image/webp"}))


def ollama_files(model: str) -> FileRules:
    """The files that this model accepts."""
    return _IMAGES if _WITH_IMAGES.search(model) else NO_FILES

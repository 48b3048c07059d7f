"""How vLLM's server reads the items of a request to `/v1/responses`, and what it refuses there.

It checks them against the types of OpenAI's SDK, where an answer has an id, a status and annotations, a picture its
`detail`, and reasoning an id: https://github.com/openai/codex/issues/12669,
https://github.com/langchain-ai/langchain/pull/32557. Of an answer it reads the first text alone, and of encrypted
reasoning nothing: https://github.com/vllm-project/vllm/pull/28248. Read 2026-11-30.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from openai.types.responses import ResponseInputItemParam
from pydantic import TypeAdapter, ValidationError

from tests.fakes.broken import refuse

_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseInputItemParam)


def check_vllm(payload: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if vLLM's server would refuse this request, or lose a part of it."""
    for number, item in enumerate(payload["input"]):
        try:
            content = _ITEM.validate_python(item).get("content")
            if isinstance(content, Iterable):
                list(content)  # the parts of an answer are checked when they are read
        except ValidationError:
            refuse(f"input[{number}]: {item} is no item of OpenAI's SDK")
        if item.get("role") == "assistant" and len(item["content"]) > 1:
            refuse(f"input[{number}]: only the first text of an answer is read")
        if item.get("type") == "reasoning" and item.get("encrypted_content"):
            refuse(f"input[{number}]: Encrypted content is not supported.")

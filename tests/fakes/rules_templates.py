"""What servers refuse that render a conversation with a chat template, on every wire format that they speak.

Sources, read 2026-11-22. Alternation: the templates of Mistral's models, such as
https://huggingface.co/mistralai/Mistral-Nemo-Instruct-2407 and …/Mistral-Small-3.2-24B-Instruct-2506
("After the optional system message, conversation roles must alternate"), and of Gemma's with tools,
https://github.com/vllm-project/vllm/blob/main/examples/tool_chat_template_gemma3_pythonic.jinja. Order, ids and the
number of results: https://github.com/mistralai/mistral-common, protocol/instruct/validator.py; a user's message right
after a tool's: https://github.com/zed-industries/zed/issues/37021 and https://github.com/aaif-goose/goose/issues/5998.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tests.fakes import rules_llama_cpp
from tests.fakes.broken import refuse

Template = Literal["mistral", "gemma"]
TEMPLATES: tuple[Template, ...] = ("mistral", "gemma")
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def check_template(template: Template, provider: str, payload: Mapping[str, Any]) -> None:
    """Raise `BrokenRule` if this template refuses the conversation. Anthropic's wire format alternates by itself."""
    if provider == "anthropic":
        return
    messages = rules_llama_cpp.chat_messages(payload) if provider == "responses" else payload["messages"]
    _check_alternation(messages)
    if template == "mistral":
        _check_order(messages)
        if provider != "ollama":  # its calls have no ids
            _check_ids(messages)


def _check_alternation(messages: Sequence[Mapping[str, Any]]) -> None:
    """Tool messages, and an assistant's messages with calls, do not count."""
    counted = 0
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "system" and number == 0:
            continue
        if role not in {"user", "assistant", "tool"}:
            refuse(f"Only user, assistant and tool roles are supported, got {role}.")
        if role == "tool" or message.get("tool_calls"):
            continue
        if (role == "user") != (counted % 2 == 0):
            refuse(
                f"messages.{number}: After the optional system message, conversation roles must alternate "
                "user/assistant/user/assistant/..."
            )
        counted += 1


def _check_order(messages: Sequence[Mapping[str, Any]]) -> None:
    wanted, before = 0, None
    for message in messages:
        role = message["role"]
        if before == "tool" and role not in {"assistant", "tool"}:
            refuse(f"Unexpected role '{role}' after role 'tool'")
        if before in {"system", "user"} and role == "tool":
            refuse(f"Unexpected role 'tool' after role '{before}'")
        if role == "tool":
            wanted -= 1
        elif wanted:
            refuse("Not the same number of function calls and responses")
        else:
            wanted = len(message.get("tool_calls") or ())
        before = role
    if wanted:
        refuse("Not the same number of function calls and responses")
    if before not in {"user", "tool"}:
        refuse(f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {before}")


def _check_ids(messages: Sequence[Mapping[str, Any]]) -> None:
    for message in messages:
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        if message["role"] == "tool":
            ids.append(message["tool_call_id"])
        for id_ in ids:
            if not _MISTRAL_ID.fullmatch(id_):
                refuse(f"Tool call id was {id_} but must be a-z, A-Z, 0-9, with a length of 9.")

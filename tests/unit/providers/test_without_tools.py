"""Histories with calls for models that take no tools."""

import pytest

from ai_agents.core.types import ModelMessage, ModelRequest, TextPart, ToolCallPart, ToolDefinition, ToolResultPart
from ai_agents.providers.without_tools import refuses_roles, without_tools


def test_calls_and_results_become_texts_of_those_who_take_turns() -> None:
    calls = (ToolCallPart("call_1", "weather", {"city": "Köln"}), ToolCallPart("call_2", "now", {}))
    results = (ToolResultPart("call_1", "weather", {"sky": "blue"}), ToolResultPart("call_2", "now", ""))
    history = (
        ModelMessage("user", (TextPart("And?"),)),
        ModelMessage("assistant", (TextPart("Let me see."), *calls)),
        ModelMessage("tool", results[:1]),
        ModelMessage("tool", results[1:]),
        ModelMessage("assistant", (TextPart("Fine."),)),
    )

    plain = without_tools(ModelRequest("m", history, tools=(ToolDefinition("now", ""),)))

    assert plain.tools == ()
    assert [(message.role, "".join(part.text for part in message.parts)) for message in plain.messages] == [  # type: ignore[union-attr]  # all are texts
        ("user", "And?"),
        ("assistant", 'Let me see.\n\n(Call of weather: {"city":"Köln"})\n\n(Call of now: {})'),
        ("user", '(Result of weather: {"sky":"blue"})'),
        ("user", "(Result of now: (no output))"),
        ("assistant", "Fine."),
    ]


@pytest.mark.parametrize(
    "said, refused",
    [
        ("Conversation roles must alternate user/assistant/user/assistant/...", True),
        ("Only user and assistant roles are supported!", True),
        ("Unexpected message role.", True),
        ("Invalid role: tool", True),
        ("The role 'tool' is not supported by this model", True),
        ("Your role in this organization is read only.", False),
        ("Unknown parameter: stream_options. See the docs about roles.", False),
        ("", False),
    ],
)
def test_a_refusal_of_roles_is_recognized(said: str, refused: bool) -> None:
    assert refuses_roles(said) is refused

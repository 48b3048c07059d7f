"""What the model would be sent."""

from typing import Annotated

from pydantic import Discriminator, Field

from ai_agents.core import context_rows
from app.schemas.answers.files import DELETED
from app.schemas.answers.messages import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from app.schemas.answers.models import MODELS, model_of
from app.schemas.answers.notices import Notice

MODELS[context_rows.ViewedPart] = Annotated[
    TextPart
    | model_of(
        "ContextFilePart",
        context_rows.ViewedFilePart,
        "A file as the model would get it.",
        sent_as="With its bytes, as its text, or by its name alone.",
        text="The text that the model would get, without what guardrails hide; only where `sent_as` is `text`.",
        deleted=DELETED,
    )
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart,
    Discriminator("type"),
]
model_of(
    "ContextMessage",
    context_rows.ViewedMessage,
    "A message as the model would get it.",
    seq="Its number in the thread's log; null for what is not in the thread: the summary, the note that messages were "
    "left out, and the result that stands in for a missing one.",
)
model_of("ContextTool", context_rows.ViewedTool, "A tool that the model would get.", parameters="A JSON Schema.")
model_of(
    "ContextTokens",
    context_rows.ViewedTokens,
    "The size of the request. It fits if `total` is at most `budget`; the rest of `window` is for the answer.",
    total="System prompt, tools, summary and messages.",
    method="How the tokens were counted.",
    budget="How many the request may have, so that there is room for the answer.",
    window="How many request and answer may have together.",
)
model_of(
    "LeftOutMessage",
    context_rows.LeftOutMessage,
    reason="The memory does not choose it; the summary covers it; it does not fit; it has nothing to send; a provider "
    "refused it, or a retry has superseded it, so that no model is sent it again.",
)
model_of(
    "LastCall",
    context_rows.LastCall,
    "The last completed call of this provider and model in a run of the thread, as the provider told of it.",
    cached_input_tokens="How many tokens of the input came from the provider's cache; null where it does not say.",
    cached_share="Their share of the input, from 0 to 1.",
)
ContextRead = model_of(
    "ContextRead",
    context_rows.ContextView,
    "What the model would get now, before the next message.",
    system="Null also for users who do not see the agent.",
    summary="Sent as the first message.",
    tools="Null for users who do not see the agent.",
    notices=Annotated[
        list[Notice],
        Field(description="What a run would tell now: of what the agent asks for, what its model would not be sent."),
    ],
    last_call="Null where the thread has no such call.",
)

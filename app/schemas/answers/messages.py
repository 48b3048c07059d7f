"""Messages, and what users think of them."""

from typing import Annotated

from pydantic import Discriminator, Field

from ai_agents.core import rows
from app.schemas.answers.files import DELETED
from app.schemas.answers.models import MODELS, model_of, page_of
from app.schemas.answers.usage import Cost, TokenUsage

TextPart = model_of("TextPart", rows.PublicTextPart)
FilePart = model_of("FilePart", rows.PublicFilePart, "A file.", deleted=DELETED)
ReasoningPart = model_of("ReasoningPart", rows.PublicReasoningPart)
ToolCallPart = model_of("ToolCallPart", rows.PublicToolCallPart)
ToolResultPart = model_of("ToolResultPart", rows.PublicToolResultPart, "The result of a tool call.")
MODELS[rows.PublicPart] = Annotated[
    TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart, Discriminator("type")
]
model_of("OwnFeedback", rows.OwnFeedback)
MessageRead = model_of(
    "MessageRead",
    rows.SeenMessage,
    "One message of a thread's history; `content` is its text.",
    seq="Its number in the thread's log; null while it is queued.",
    usage=TokenUsage | None,
    cost=Annotated[
        Cost | None, Field(description="Cost of the model call that made it; null if its price is not known.")
    ],
    refused="True where models are not sent it: the provider refused what is said in it, or its author lost the right "
    "to send it before it could join a run; otherwise missing.",
    superseded="True for an answer in whose place a retry has put another, so that models are no longer sent it; "
    "otherwise missing.",
    feedback="What the user who reads the history thinks of the answer; missing where they have not said, and in "
    "events.",
)
MessagePage = page_of("MessagePage", MessageRead, "Messages, oldest first unless asked otherwise.")
FeedbackRead = model_of("FeedbackRead", rows.Feedback, "What a user thinks of an answer.")
FeedbackPage = page_of("FeedbackPage", FeedbackRead, "Feedback, newest first.")

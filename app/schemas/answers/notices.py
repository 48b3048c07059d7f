"""What happened during a run that the user should know."""

from typing import Annotated, Any

from pydantic import Discriminator

from ai_agents.core import notices
from app.schemas.answers.models import model_of

Notice: Any = Annotated[
    model_of(
        "ContextLeftOut",
        notices.ContextLeftOut,
        "The oldest turns that the memory chose did not fit the model, so they were not sent.",
        messages="How many; null if there were too many to count.",
        through_seq="The `seq` of the newest of them.",
        reason="The service knew it before the call, or the provider refused the request as too long.",
    )
    | model_of(
        "ToolMissing",
        notices.ToolMissing,
        "A tool that the agent names does not exist, or is off until an admin approves it. The run went on without it.",
    )
    | model_of(
        "SettingLeftOut",
        notices.SettingLeftOut,
        "A setting of the agent that its model does not take. The model was asked without it.",
        reason="Why, and which quirk of the provider says otherwise.",
    )
    | model_of(
        "ToolLeftOut",
        notices.ToolLeftOut,
        "A tool whose parameters have no form that the provider takes. The run went on without it.",
    )
    | model_of(
        "CredentialsMissing",
        notices.CredentialsMissing,
        "A tool is called with the user's own credentials, and the user had given none: the call is an error result.",
        tool="The name of the tool or server in `PUT /me/credentials/{tool}`.",
    )
    | model_of("EmptyAnswer", notices.EmptyAnswer, "The model said nothing after a tool's result, twice.")
    | model_of(
        "BudgetLow",
        notices.BudgetLow,
        "At least 80 % of a budget is used, with what the run's last call may have used.",
        budget="Whose: the agent's, or that of the user who sent the message.",
    )
    | model_of(
        "CostUnknown",
        notices.CostUnknown,
        "There is a budget of money, and the price of a model is not known: its calls count no money.",
    )
    | model_of(
        "SummaryUnusable",
        notices.SummaryUnusable,
        "The model gave no usable summary of the thread, several times in a row. It is asked again ever more seldom.",
        times="How many in a row.",
    ),
    Discriminator("code"),
]

"""What happened in a run that its user should know, although it did not fail: one type for each `code`."""

from typing import Literal, TypedDict

from ai_agents.core.types import BudgetLimit, BudgetOf


class ContextLeftOut(TypedDict):
    """The oldest turns that the memory chose did not fit the model, so they were not sent.

    `messages` is None where they were not counted; `through_seq` is the newest of them.
    """

    code: Literal["context_left_out"]
    messages: int | None
    through_seq: int | None
    reason: Literal["window", "provider"]


class ToolMissing(TypedDict):
    """A tool that the agent names does not exist, or is off until an admin approves it."""

    code: Literal["tool_missing"]
    tool: str


class SettingLeftOut(TypedDict):
    """A setting of the agent that its model does not take, so that the request was sent without it."""

    code: Literal["setting_left_out"]
    setting: str
    reason: str


class ToolLeftOut(TypedDict):
    """A tool whose parameters have no form that the provider takes, so that the request was sent without it."""

    code: Literal["tool_left_out"]
    tool: str
    reason: str


class CredentialsMissing(TypedDict):
    """A tool is called with the user's own credentials, and the user had given none when the model called it.

    `tool` is the name under which an admin made the tool, or the server.
    """

    code: Literal["credentials_missing"]
    tool: str


class EmptyAnswer(TypedDict):
    """The model said nothing after a tool's result, twice."""

    code: Literal["empty_answer"]


class BudgetLow(TypedDict):
    """At least 80 % of a budget is used, the call that the run made last included."""

    code: Literal["budget_low"]
    budget: BudgetOf
    limit: BudgetLimit
    resets_at: str


class CostUnknown(TypedDict):
    """The price of a model is not known, so that its calls count nothing towards a budget of money."""

    code: Literal["cost_unknown"]
    provider: str
    model: str


class SummaryUnusable(TypedDict):
    """The agent's model gave no usable summary of the thread, `times` in a row. It is asked again ever more seldom."""

    code: Literal["summary_unusable"]
    times: int


Notice = (
    ContextLeftOut
    | ToolMissing
    | SettingLeftOut
    | ToolLeftOut
    | CredentialsMissing
    | EmptyAnswer
    | BudgetLow
    | CostUnknown
    | SummaryUnusable
)

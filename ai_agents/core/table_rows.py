"""Whole rows of tables, with the columns that clients do not see, and columns to be written.

A test compares them with the tables.
"""

from typing import Literal, NotRequired, TypedDict

from ai_agents.core.notices import Notice
from ai_agents.core.rows import Money, Problem, Role, RunOverrides, Upstream
from ai_agents.core.types import JsonObject, MessageRole, MessageStatus, RunStatus, StopReason, TokenCounts


class MessageRow(TypedDict):
    """Every column of a message, with `parts` in their stored form; see `store.models.MessageTable`.

    `search` is written and searched, and not read.
    """

    id: str
    thread_id: str
    run_id: str | None
    seq: int | None
    role: MessageRole
    parts: list[JsonObject]
    status: MessageStatus
    user_id: str | None
    usage: TokenCounts | None
    metadata: JsonObject
    created_at: str
    cost: Money | None
    refused: bool
    search: NotRequired[str | None]
    superseded: bool


class SteeredMessage(TypedDict):
    """A message that waits to join a run, its author (None: erased), and how it was sent.

    `client_tools` and `overrides` came with it, null where there are none.
    """

    message_id: str
    user_id: str | None
    key_id: str | None
    by_admin: bool
    client_tools: list[JsonObject] | None
    overrides: RunOverrides | None


class RunKey(TypedDict):
    """Which run it is, and in which thread."""

    id: str
    thread_id: str


class RunRow(RunKey):
    """Every column of a run; see `store.models.RunTable`."""

    agent_id: str
    agent_version: int
    user_id: str
    status: RunStatus
    attempt: int
    user_message_id: str
    message_id: str | None
    queue_position: int | None
    fence: int
    lease_owner: str | None
    lease_expires_at: float | None
    cancel_requested: bool
    usage: TokenCounts | None
    cost: Money | None
    stop_reason: StopReason | None
    error: Problem | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    notices: list[Notice] | None
    upstream: Upstream | None
    key_id: str | None
    by_admin: bool
    client_tools: list[JsonObject] | None
    steered: list[SteeredMessage] | None
    sender_id: str | None
    overrides: RunOverrides | None
    retry_of: str | None
    trace: str | None


class RunValues(TypedDict, total=False):
    """Columns of a run that are written. `lease_s` is a lease of so many seconds from now (None: none), in place of
    `lease_expires_at`.
    """

    id: str
    thread_id: str
    agent_id: str
    agent_version: int
    user_id: str
    status: RunStatus
    attempt: int
    user_message_id: str
    message_id: str | None
    queue_position: int | None
    fence: int
    lease_owner: str | None
    lease_s: float | None
    lease_expires_at: float | None
    cancel_requested: bool
    key_id: str | None
    by_admin: bool
    client_tools: list[JsonObject]
    overrides: RunOverrides | None
    usage: TokenCounts
    cost: Money | None
    stop_reason: StopReason | None
    error: Problem | None
    created_at: str
    started_at: str
    finished_at: str
    notices: list[Notice]
    upstream: Upstream | None
    steered: list[SteeredMessage] | None
    sender_id: str
    retry_of: str
    trace: str


class FileRow(TypedDict):
    """Every column of a file; see `store.models.FileTable`."""

    id: str
    user_id: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    facts: JsonObject
    created_at: str
    deleted_at: str | None
    token_id: str | None
    expires_at: str | None


class OfferedTool(TypedDict):
    """A tool as its MCP server describes it; `digest` is of the whole description."""

    name: str
    description: str
    parameters: JsonObject
    digest: str


class LeftOutTool(TypedDict):
    """A tool of an MCP server that no model can be told of, and why. `name` is the server's, made printable."""

    name: str
    reason: str


class ServerTools(TypedDict):
    """What an MCP server lists: the tools that it offers, and those that are left out."""

    tools: list[OfferedTool]
    left_out: list[LeftOutTool]


class ToolListing(TypedDict):
    """What an MCP server listed when it was last asked. Older rows do not say what was left out."""

    tools: list[OfferedTool]
    left_out: NotRequired[list[LeftOutTool]]
    listed_at: str


class ToolRow(TypedDict):
    """A tool that an admin made, without `updated_at`; see `store.models.AdminToolTable`."""

    name: str
    type: Literal["http", "mcp"]
    spec: JsonObject
    sealed_headers: str | None
    listing: ToolListing | None
    approved: dict[str, OfferedTool] | None
    version: int
    created_at: str


class ProviderRow(TypedDict):
    """Every column of a provider that an admin made; see `store.provider_tables.ProviderTable`."""

    name: str
    type: str
    preset: str | None
    base_url: str | None
    sealed_secrets: str | None
    default_model: str | None
    quirks: JsonObject
    version: int
    created_at: str
    updated_at: str


class RoleRow(Role):
    """Every column of a role; see `store.access_tables.RoleAssignmentTable`."""

    listed: bool

"""Tools, and the users' own credentials for them."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.answers.models import Read, page_of


class OfferedToolRead(Read, title="OfferedTool"):
    """A tool as its server offers it now."""

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str


class ToolRead(Read):
    """A tool that agents may name. Only admins see `url`, `digest`, `offered`, `reason`, `method` and `version`."""

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")
    retry_safe: bool = Field(description="Whether a call is made again if its process dies meanwhile.")
    status: Literal["on", "changed", "unapproved", "gone", "left_out"] = Field(
        description="`changed`, `unapproved`, `gone`: the MCP server changed the tool, added it, or offers it no more. "
        "`left_out`: the server describes it in a way that no model can be told; `reason` says why."
    )
    url: str | None = Field(None, description="The address of a tool or server that an admin made.")
    digest: str | None = Field(None, description="A hash of all that the server says about the tool.")
    offered: OfferedToolRead | None = Field(
        None, description="The tool as the server offers it now, if that has changed."
    )
    reason: str | None = Field(None, description="Why what the server says of it is left out, or a part of that.")
    credentials: Literal["user"] | None = Field(
        None,
        description="`user`: it is called with headers of each user's own, which `PUT /me/credentials/{tool}` takes "
        "(for a server's tool by the name of the server); otherwise missing.",
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = Field(None, description="Of an HTTP tool.")
    version: int | None = Field(None, description="Of an HTTP tool: counts its changes; in `ETag` and `If-Match`.")


class CredentialsRead(Read):
    """A tool for which you have given headers. They are not shown."""

    tool: str = Field(description="The name of the tool or server.")


CredentialsPage = page_of("CredentialsPage", CredentialsRead, "All of them, by name.", most=None)
ToolPage = page_of("ToolPage", ToolRead, "All tools, by name.", most=None)

"""Tools: those that agents may name, and those that admins make."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, RootModel

from app.schemas.common import Page, Read, Strict

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Headers = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=32, description="Sent with each call; encrypted at rest, and never shown again."),
]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class CreateHttpTool(Strict):
    """A tool that is an HTTP call. Parameters go where `{parameter}` stands in the address, else into the query (GET,
    DELETE) or into the body, as JSON.
    """

    type: Literal["http"]
    name: Name
    description: Annotated[str, Field(min_length=1, max_length=8192)]
    parameters: Annotated[dict[str, Any], Field(description="A JSON Schema of an object.")] = {
        "type": "object",
        "properties": {},
    }
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Url
    headers: Headers = {}


class CreateMcpServer(Strict):
    """An MCP server (streamable HTTP). Its tools are named `name/tool`; what it offers now is approved with it."""

    type: Literal["mcp"]
    name: Name
    url: Url
    headers: Headers = {}


class CreateTool(RootModel[Annotated[CreateHttpTool | CreateMcpServer, Discriminator("type")]]):
    """A tool, or a server with its tools."""


class ApprovedTool(Strict):
    """A server's tool as it was seen."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Within the server.")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ApproveTools(Strict):
    """Which of a server's tools are approved, as they are now."""

    tools: Annotated[list[ApprovedTool], Field(min_length=1, max_length=256)]


class OfferedTool(Read):
    """What a server says of a tool now."""

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str


class ToolRead(Read):
    """A tool that agents may name. The last three are for admins."""

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")
    status: Literal["on", "changed", "unapproved", "gone"] = Field(
        description="Of an MCP server's tool: `on`; not the one that was approved; new; not offered any more."
    )
    url: str | None = Field(None, description="Of what an admin made.")
    digest: str | None = Field(None, description="Of all that its server says of a tool.")
    offered: OfferedTool | None = Field(None, description="What the server says of it now, where that has changed.")


class ToolPage(Page[ToolRead]):
    """Tools, by name."""

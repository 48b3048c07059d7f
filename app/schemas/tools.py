"""Tools: the ones that agents may name, and the ones that admins make."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, RootModel

from app.schemas.common import Read, ReadPage, Strict

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Headers = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=32, description="Sent with each call; encrypted at rest, and never shown again."),
]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class CreateHttpTool(Strict):
    """A tool that makes an HTTP request.

    Parameters replace `{parameter}` in the address. Others go into the query (GET, DELETE) or into the body as JSON.
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
    """An MCP server (streamable HTTP). Its tools are named `name/tool`. The tools that it offers now are approved."""

    type: Literal["mcp"]
    name: Name
    url: Url
    headers: Headers = {}


class CreateTool(RootModel[Annotated[CreateHttpTool | CreateMcpServer, Discriminator("type")]]):
    """A tool, or a server with its tools."""


class ApprovedTool(Strict):
    """A tool of a server, as the admin has seen it."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Within the server.")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ApproveTools(Strict):
    """The tools of a server that the admin approves."""

    tools: Annotated[list[ApprovedTool], Field(min_length=1, max_length=256)]


class OfferedToolRead(Read):
    """A tool as its server offers it now."""

    model_config = ConfigDict(title="OfferedTool")

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str


class ToolRead(Read):
    """A tool that agents may name. Only admins see the last three fields."""

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")
    status: Literal["on", "changed", "unapproved", "gone"] = Field(
        description="`changed`, `unapproved`, `gone`: the MCP server changed the tool, added it, or offers it no more."
    )
    url: str | None = Field(None, description="The address of a tool or server that an admin made.")
    digest: str | None = Field(None, description="A hash of all that the server says about the tool.")
    offered: OfferedToolRead | None = Field(
        None, description="The tool as the server offers it now, if that has changed."
    )


class ToolPage(ReadPage[ToolRead]):
    """All tools, by name."""

    data: list[ToolRead]

"""Tools: the ones that agents may name, and the ones that admins make."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, RootModel

from ai_agents.core.headers import MAX_HEADER, MAX_HEADERS
from app.schemas.common import HeaderName, JsonSchema, Strict

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", max_length=64)]
Headers = Annotated[
    dict[HeaderName, Annotated[str, Field(max_length=MAX_HEADER)]],
    Field(max_length=MAX_HEADERS, description="Sent with each call; encrypted at rest, and never shown again."),
]
_RETRY_SAFE = (
    "Whether a call may be made again if its process dies meanwhile, because it does no harm or the server recognizes "
    "it by its `Idempotency-Key`."
)
_CREDENTIALS = (
    "`user`: the tool is called with headers of each user's own (`PUT /me/credentials/{tool}`), over those in "
    "`headers`. A call for a user who has given none is an error result."
)
_OWN_HEADERS = (
    "With `credentials`: the admin's own headers, kept as theirs. The server is asked with them for its tools. Those "
    "in `headers` go with the calls of all users."
)
OwnHeaders = Annotated[
    dict[HeaderName, Annotated[str, Field(max_length=MAX_HEADER)]], Field(min_length=1, max_length=MAX_HEADERS)
]
Credentials = Annotated[Literal["user"] | None, Field(description=_CREDENTIALS)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class CreateHttpTool(Strict):
    """A tool that makes an HTTP request.

    Parameters replace `{parameter}` in the address. Others go into the query (GET, DELETE) or into the body as JSON.
    """

    type: Literal["http"]
    name: Name
    description: Annotated[str, Field(min_length=1, max_length=8192)]
    parameters: Annotated[JsonSchema, Field(description="A JSON Schema of an object; at most 64 KiB.")] = {
        "type": "object",
        "properties": {},
    }
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Url
    headers: Headers = {}
    credentials: Credentials = None
    retry_safe: Annotated[bool | None, Field(description=_RETRY_SAFE + " Null: a GET may, others may not.")] = None


class UpdateHttpTool(Strict):
    """Fields that are left out stay. Null takes `headers`, `credentials` and `retry_safe` away; others stay."""

    description: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    parameters: JsonSchema | None = Field(None, description="A JSON Schema of an object; at most 64 KiB.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = None
    url: Url | None = Field(None, description="At another server, headers that users gave for the tool are deleted.")
    headers: Headers | None = None
    credentials: Credentials = None
    retry_safe: Annotated[bool | None, Field(description=_RETRY_SAFE + " Null: a GET may, others may not.")] = None


class CreateMcpServer(Strict):
    """An MCP server (streamable HTTP). Its tools are named `name/tool`. The tools that it offers now are approved."""

    type: Literal["mcp"]
    name: Name
    url: Url
    headers: Headers = {}
    credentials: Credentials = None
    own_headers: Annotated[OwnHeaders | None, Field(description=_OWN_HEADERS)] = None
    retry_safe: Annotated[bool, Field(description=_RETRY_SAFE)] = False


class CreateTool(RootModel[Annotated[CreateHttpTool | CreateMcpServer, Discriminator("type")]]):
    """A tool, or a server with its tools."""


class PutCredentials(Strict):
    """Your own headers for a tool, in place of those that you gave before."""

    headers: Annotated[
        OwnHeaders, Field(description="Sent with the calls of your runs; encrypted at rest, and never shown again.")
    ]


class ApprovedTool(Strict):
    """A tool of a server, as the admin has seen it."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Within the server.")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class ApproveTools(Strict):
    """The tools of a server that the admin approves."""

    tools: Annotated[list[ApprovedTool], Field(min_length=1, max_length=256)]

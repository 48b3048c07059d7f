"""The door of MCP clients."""

from app.doors.base import ClientDoor
from app.doors.mcp import router
from app.doors.mcp.refusals import refusal

MCP = ClientDoor(
    "mcp",
    "/mcp",
    (router,),
    refusal,
    accepted=("mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"),
    exposed=("mcp-session-id",),
)

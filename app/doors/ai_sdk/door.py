"""The door of `useChat`. Its errors are plain text: the page shows the body of a refusal as the error's message."""

from starlette.responses import PlainTextResponse, Response

from ai_agents.core.types import JsonObject
from app.doors.ai_sdk import router
from app.doors.ai_sdk.service import DOOR
from app.doors.base import ClientDoor


def refusal(told: JsonObject) -> Response:
    """The answer to a problem: its sentence."""
    return PlainTextResponse(told["detail"], int(told["status"]))


AI_SDK = ClientDoor(DOOR, "/ai-sdk/", (router,), refusal, exposed=("x-thread-id", "x-run-id"))

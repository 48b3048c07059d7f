"""The door of AG-UI clients. Its errors are our problems: the clients show the body of a refusal as it is."""

from starlette.responses import Response

from ai_agents.core.types import JsonObject
from app.doors.ag_ui import router
from app.doors.ag_ui.service import DOOR
from app.doors.base import ClientDoor
from app.problems import MEDIA_TYPE
from app.responses import JsonResponse


def refusal(told: JsonObject) -> Response:
    """The answer to a problem."""
    return JsonResponse(told, int(told["status"]), media_type=MEDIA_TYPE)


AG_UI = ClientDoor(DOOR, "/ag-ui/", (router,), refusal, exposed=("x-thread-id", "x-run-id"))

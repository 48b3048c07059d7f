"""The route of AG-UI."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import json_body
from app.doors.ag_ui.schemas import RunAgentInput
from app.doors.ag_ui.service import open_run
from app.doors.ag_ui.translator import RunEvents, RunNames
from app.doors.base import DoorRoute, admitted
from app.doors.begun import follow
from app.doors.streams import DoorStream
from app.event_streams import OpenStreams, whole_stream
from app.openapi import BODY, USER, failures
from app.problems import run_headers

router = APIRouter(route_class=DoorRoute, tags=["ag-ui"])
_EVENTS: dict[str, Any] = {
    "text/event-stream": {"schema": {"type": "string", "description": "The events of AG-UI 1.0."}}
}


@router.post(
    "/ag-ui/agents/{agent_id}",
    response_class=Response,
    response_description="The events of the run.",
    responses={
        200: {"content": _EVENTS},
        **failures(
            *USER, *BODY, "not_found", "forbidden", "conflict", "thread_busy", "agent_deleted", "guardrail_blocked",
            "quota_exceeded", "budget_exceeded", "overloaded", "idempotency_key_reused",
        ),
    },
)  # fmt: skip
async def run_agent(
    request: Request,
    agent_id: str,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[RunAgentInput, json_body(RunAgentInput)],
) -> Response:
    """Run an agent in a conversation, as AG-UI's clients ask for it, and get the events.

    The same `runId` again is the same run. `resume` answers interrupts; messages of tools answer the client's calls.
    Without anything new the client gets the history, and what is under way.
    """
    streams: OpenStreams = request.app.state.streams
    streams.check(user)
    opened = await open_run(container, user, agent_id, body)
    begun = opened.begun
    own = {} if begun is None else {"ai-agents/thread_id": begun.run["thread_id"], "ai-agents/run_id": begun.run["id"]}
    names = RunNames(body.thread_id, body.run_id, body.parent_run_id, own)
    known = [each.id for each in body.messages] if opened.shows else None
    events = RunEvents(names, opened.messages, known=known)
    if begun is None:
        return whole_stream(events.begin() + events.finish())
    admitted(request, begun.run)
    reader = await follow(container, begun, StreamRight(container, user, begun.run["thread_id"]))
    return DoorStream(reader, events, user=user, streams=streams, headers=run_headers(begun.run))

"""The route of chat completions."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ai_agents.core.exceptions import InvalidRequest, RunCancelled
from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import header_of, json_body
from app.doors.base import DoorRoute, RetryCount, admitted, key_of
from app.doors.begun import follow
from app.doors.chat_completions import calls
from app.doors.chat_completions.schemas import ChatCompletion, CreateChatCompletion
from app.doors.chat_completions.translator import ChatStream, whole_answer
from app.doors.openai_errors import FORM, error_object
from app.doors.streams import DoorStream
from app.event_streams import OpenStreams
from app.middleware import REQUEST_ID
from app.openapi import BODY, ONCE, USER, failures
from app.problems import problem, problem_of_run, run_headers
from app.replays import IdempotencyKey
from app.responses import JsonResponse

router = APIRouter(route_class=DoorRoute, tags=["openai"])
# What all headers of a request may have together.
_MAX_CHAT_ID = 32_768
_CHUNKS: dict[str, Any] = {
    "text/event-stream": {"schema": {"type": "string", "description": "Chunks, then `[DONE]` or an error."}}
}
_RUN = {
    "headers": {
        "X-Thread-Id": {"description": "The thread of the answer.", "schema": {"type": "string"}},
        "X-Run-Id": {"description": "The run that made it.", "schema": {"type": "string"}},
    }
}


@router.post(
    "/v1/chat/completions",
    response_model=ChatCompletion,
    response_description="The answer.",
    responses={
        200: {"content": _CHUNKS, **_RUN},
        **failures(
            *USER, *BODY, *ONCE, "not_found", "model_not_found", "conflict", "thread_busy", "agent_deleted",
            "run_cancelled", "approval_required", "guardrail_blocked", "context_overflow", "tool_loop_limit",
            "quota_exceeded", "budget_exceeded", "provider_rate_limited", "provider_error", "provider_rejected",
            "provider_truncated", "provider_timeout", "provider_not_configured", "run_interrupted", "overloaded",
            form=FORM,
        ),
    },
)  # fmt: skip
async def create_chat_completion(
    request: Request,
    user: ScopedUser,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateChatCompletion, json_body(CreateChatCompletion)],
    retry_count: RetryCount = None,
    thread: Annotated[
        str | None,
        header_of("X-Thread-Id", _MAX_CHAT_ID, "The conversation: a thread's id, or any text of the client's own."),
    ] = None,
    chat: Annotated[
        str | None, header_of("X-OpenWebUI-Chat-Id", _MAX_CHAT_ID, "The same, as Open WebUI sends it.")
    ] = None,
) -> Response:
    """Let an agent go on with a conversation.

    Without a conversation's id the request is complete in itself: its messages are the history. With one, the service
    has the history, and only what comes after the last assistant message counts.
    """
    asked = calls.ChatRequest(body, _chat_id(body, thread, chat), key_of(request, key, retry_count))
    streams: OpenStreams = request.app.state.streams
    if asked.streams:
        streams.check(user)
    begun = await calls.begin(container, user, asked)
    admitted(request, begun.run)
    right = StreamRight(container, user, begun.run["thread_id"])
    if asked.streams:
        options = body.stream_options
        translator = ChatStream(
            begun.run["id"],
            await calls.progress_at_start(container, begun),
            model=body.model,
            include_usage=options is not None and options.include_usage is True,
            error_object=error_object,
        )
        reader = await follow(container, begun, right)
        return DoorStream(reader, translator, user=user, streams=streams, headers=run_headers(begun.run))
    request.app.state.overload.let_go(request.scope)
    run, progress = await calls.wait(container, begun, right)
    if run["status"] == "failed":
        return problem_of_run(run, request_id=request.scope[REQUEST_ID])
    if progress.problem is not None:
        if run["status"] == "cancelled":
            raise RunCancelled
        members = {name: progress.problem[name] for name in ("thread_id", "run_id")}
        told = progress.problem
        return problem(told["code"], told["detail"], request_id=request.scope[REQUEST_ID], **members)
    return JsonResponse(whole_answer(progress, run["id"], model=body.model), headers=run_headers(run))


def _chat_id(body: CreateChatCompletion, thread: str | None, chat: str | None) -> str | None:
    """The conversation that the request names. Raises `InvalidRequest`."""
    named = (body.metadata or {}).get("thread_id")
    if named is not None and not isinstance(named, str):
        raise InvalidRequest("A thread's id is a text.", loc=("metadata", "thread_id"))
    return thread or chat or named or None

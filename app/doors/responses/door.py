"""The door of Responses and Conversations. The errors of everything below `/v1/` are the door's of Chat Completions."""

from app.doors.base import ClientDoor
from app.doors.openai_errors import refusal
from app.doors.responses import conversation_router, router

RESPONSES = ClientDoor("responses", "/v1/responses", (router, conversation_router), refusal)

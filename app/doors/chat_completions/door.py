"""The door of Chat Completions. It stands for all of `/v1/`, so that errors there have OpenAI's form."""

from app.doors.base import ClientDoor
from app.doors.chat_completions import models, router
from app.doors.chat_completions.calls import DOOR
from app.doors.openai_errors import refusal

# What the SDKs of OpenAI send from pages.
_SDK_HEADERS = (
    "openai-organization",
    "openai-project",
    "x-stainless-arch",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-custom-poll-interval",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
)
CHAT_COMPLETIONS = ClientDoor(
    DOOR,
    "/v1/",
    (router, models),
    refusal,
    accepted=("x-thread-id", "x-openwebui-chat-id", *_SDK_HEADERS),
    exposed=("x-thread-id", "x-run-id", "x-should-retry"),
)

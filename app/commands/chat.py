"""`ai-agents chat`: a conversation with an agent of a running service."""

import argparse
import sys
from typing import TYPE_CHECKING

from app.commands.command import Command
from app.commands.opening import read_settings

if TYPE_CHECKING:
    from app.settings import Settings


def _add_chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="where the service is (http://127.0.0.1:8000)")
    parser.add_argument("--key", help="an API key (the admin key of this machine's service)")
    parser.add_argument("--agent", help="an agent's id; without one, an agent `assistant` is made or used")
    parser.add_argument("--thread", help="a thread's id, to go on with it")


def _chat(arguments: argparse.Namespace) -> None:
    from app.commands.conversation import ChatError, chat

    settings = read_settings()
    url = arguments.url or f"http://{settings.host}:{settings.port}"
    try:
        chat(url, key=arguments.key or _own_key(settings), agent_id=arguments.agent, thread_id=arguments.thread)
    except ChatError as error:
        sys.exit(str(error))


def _own_key(settings: "Settings") -> str:
    if settings.admin_key is None and not settings.admin_key_file.exists():
        sys.exit("No key: give one with --key, or run this where the service keeps its admin key.")

    from app.key_files import admin_key

    return admin_key(settings)


CHAT = Command(
    "chat",
    "Talk to an agent of a running service.",
    _chat,
    _add_chat,
    place="service",
    examples=("ai-agents chat", "ai-agents chat --url https://agents.example.com --key aia_…"),
)

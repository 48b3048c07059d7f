"""`ai-agents chat`: a conversation with an agent of a running service."""

import argparse
import sys

from app.commands.command import INTERRUPTED, Command, CommandFailed, WrongUse
from app.commands.options import add_service
from app.commands.terminal import is_terminal


def _add_chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("message", nargs="*", help="one question; without it you are asked")
    parser.add_argument("--agent", help="an agent's id or name; without one, an agent `assistant` is made or used")
    parser.add_argument("--thread", help="a thread's id, to go on with it")
    add_service(parser)


def _chat(arguments: argparse.Namespace) -> int:
    import asyncio

    from app.commands.conversation import converse
    from app.commands.service import address_of

    question = _question(arguments.message)
    address = address_of(arguments)
    with address.told():
        try:
            return asyncio.run(converse(address, agent=arguments.agent, thread_id=arguments.thread, question=question))
        except asyncio.CancelledError:  # by a second Ctrl+C
            return INTERRUPTED


def _question(words: list[str]) -> str | None:
    """The one question, from the arguments, the pipe, or both; None where a person is at the terminal."""
    parts = [" ".join(words)]
    if not is_terminal(sys.stdin):
        try:
            parts.append(sys.stdin.read())
        except UnicodeDecodeError:
            raise CommandFailed("What comes from standard input is no text in UTF-8.") from None
    elif not words:
        return None
    question = "\n\n".join(part.strip() for part in parts if part.strip())
    if not question:
        raise WrongUse("There is no question: standard input is empty.")
    return question


CHAT = Command(
    "chat",
    "Talk to an agent of a running service.",
    _chat,
    _add_chat,
    place="service",
    details="At a terminal it asks for one message after another, streams the answers, shows tool calls, and asks "
    "you to approve those that wait for it; Ctrl+C stops an answer, a second one leaves, /help shows more. With a "
    "question, or in a pipe, it answers once, and standard output gets the answer alone. It outlasts broken "
    "connections and restarts of the service.",
    examples=(
        "ai-agents chat",
        'ai-agents chat --agent tutor "What is a monad?"',
        'git diff | ai-agents chat "Write a commit message." > message.txt',
        "ai-agents chat --url https://agents.example.com --key-file key --thread 01a206ba-da91-7460-b9a9-ac8706ae2953",
    ),
    exits={1: "no answer, with the reason on standard error", INTERRUPTED: "stopped by Ctrl+C"},
)

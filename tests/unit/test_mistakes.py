"""What newcomers get wrong in calls, and the sentence that each of them reads."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ai_agents import (
    AgentRunner,
    AgentStore,
    AIAgentsError,
    MessageStore,
    RoleAuth,
    RunStore,
    ThreadStore,
    connect,
    get_provider,
)
from ai_agents.core.exceptions import DatabaseUnavailable


async def test_each_wrong_argument_is_named(sqlite_url: str) -> None:
    async with connect(sqlite_url) as conn:
        agents, threads, runner = AgentStore(conn), ThreadStore(conn), AgentRunner(conn, provider=get_provider("echo"))
        agent: Any = await agents.create("a")
        thread: Any = await threads.create(agent["id"], owner_id="ada")
        run: Any = runner.run
        wrong: list[tuple[Callable[[], Coroutine[Any, Any, object]], str]] = [
            (lambda: run(thread, "ada", "Hi"), 'thread_id is a text, as in thread["id"], not dict.'),
            (lambda: run(thread["id"], None, "Hi"), "user_id is a text that you know a person by, not NoneType."),
            (
                lambda: run(thread["id"], "ada", None),
                "The content of a message is a text, or TextParts and FileParts, ",
            ),
            (lambda: run(thread["id"], "ada", ["Hi"]), "The content of a message is a text, or TextParts and FilePart"),
            (lambda: run(thread["id"], "ada", "Hi", on_busy="wait"), "on_busy is one of reject, queue, interrupt, st"),
            (lambda: run(thread["id"], "ada", "Hi", busy="queue"), "A message has no option busy; there are attachme"),
            (lambda: run(thread["id"], "bob", "Hi"), "There is no such thread, or the user has no role on it."),
            (lambda: runner.retry(thread["id"], {"id": "x"}, "ada"), 'run_id is a text, as in run["id"], not dict.'),  # type: ignore[arg-type]
            (lambda: threads.create(agent), 'agent_id is a text, as in agent["id"], not dict.'),
            (lambda: threads.get(thread), 'thread_id is a text, as in thread["id"], not dict.'),
            (lambda: RunStore(conn).list(thread), 'thread_id is a text, as in thread["id"], not dict.'),
            (lambda: agents.delete(agent_id=agent), 'agent_id is a text, as in agent["id"], not dict.'),
            (lambda: RoleAuth(conn).assign_role("bob", "viewer", "thread", thread), "resource_id is a text, as in res"),
            (lambda: MessageStore(conn).list(thread["id"], limit=0), "The limit of a list is a whole number, at least"),
        ]
        for call, sentence in wrong:
            with pytest.raises((TypeError, AIAgentsError)) as told:
                await call()
            assert str(told.value).startswith(sentence)
        assert (await MessageStore(conn).list(thread["id"]))["data"] == []

    with pytest.raises(DatabaseUnavailable, match="is closed"):
        await agents.get(agent["id"])


def test_an_option_that_a_provider_does_not_have_is_named() -> None:
    with pytest.raises(TypeError, match="The provider openai has no option modle; there are model, api_key, base_url"):
        get_provider("openai", modle="gpt-4o")

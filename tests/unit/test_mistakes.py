"""What newcomers get wrong in calls, and the sentence that each of them reads."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ai_agents import (
    AgentRunner,
    AgentStore,
    AIAgentsError,
    Guardrail,
    HistoryReader,
    MemoryStrategy,
    MessageStore,
    RoleAuth,
    RunStore,
    ThreadStore,
    connect,
    get_provider,
    register_guardrail,
    register_memory_strategy,
    register_provider,
)
from ai_agents.core.exceptions import DatabaseUnavailable, GuardrailBlocked
from ai_agents.testing import ScriptedProvider


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
            (lambda: run(thread["id"], "ada", "Hi", busy="queue"), "A message has no option busy; there are idempot"),
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


class Nameless(ScriptedProvider):
    """As newcomers forget it."""

    name = None  # type: ignore[assignment]


class Lists(MemoryStrategy):
    """Returns messages in place of a window."""

    def window(self, history: HistoryReader) -> Any:
        return history.latest(2)


class Silent(Guardrail):
    """Forgets to say anything."""

    async def check(self, text: str) -> Any:
        return None


@pytest.mark.usefixtures("own_registries")
async def test_each_mistake_in_a_class_of_ones_own_is_named(sqlite_url: str) -> None:
    for register in (register_provider, register_guardrail, register_memory_strategy):
        with pytest.raises(TypeError, match="such as the class Lists, not an object"):
            register("mine", Lists())  # type: ignore[arg-type]
    register_guardrail("silent", Silent)
    async with connect(sqlite_url) as conn:
        with pytest.raises(TypeError, match="Nameless has no name"):
            AgentRunner(conn, provider=Nameless())
        agent = await AgentStore(conn).create("a")
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
        with pytest.raises(TypeError, match=r"Lists\.window returns a Window, as in .*, not (list|tuple)"):
            await AgentRunner(conn, provider=get_provider("echo"), memory=Lists()).run(thread["id"], "ada", "Hi")
        await AgentStore(conn).update(agent["id"], {"guardrails": [{"type": "silent", "stage": "input"}]})
        with pytest.raises(GuardrailBlocked):
            await AgentRunner(conn, provider=get_provider("echo")).run(thread["id"], "ada", "Hi")


def test_an_option_that_a_provider_does_not_have_is_named() -> None:
    with pytest.raises(TypeError, match="The provider openai has no option modle; there are model, api_key, base_url"):
        get_provider("openai", modle="gpt-4o")

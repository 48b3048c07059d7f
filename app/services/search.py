"""Searching messages in the threads that a user sees."""

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.search_rows import SearchPage
from app.container import Container
from app.errors import invalid_query
from app.services.identity import PageArguments, Principal, see_agent, see_thread, whose


async def search_messages(
    container: Container,
    user: Principal,
    page: PageArguments,
    *,
    q: str,
    agent_id: str | None,
    thread_id: str | None,
    shared: bool,
) -> SearchPage:
    """Messages in the user's threads, best first; an admin searches all threads.

    Raises `AgentNotFound`, `ThreadNotFound`, `InvalidRequest`, `InvalidCursor`.
    """
    if agent_id is not None:
        await see_agent(container, user, agent_id)
    if thread_id is not None:
        await see_thread(container, user, thread_id)
    owner = await whose(container, user, "thread")
    try:
        return await container.messages.search(
            q, user_id=owner, agent_id=agent_id, thread_id=thread_id, within=user.within, shared=shared, **page
        )
    except InvalidRequest as error:
        raise invalid_query("q", str(error)) from error

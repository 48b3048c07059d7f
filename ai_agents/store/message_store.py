"""Messages as clients read and search them."""

import asyncio

from ai_agents.core.scopes import AgentScope
from ai_agents.core.search_rows import SearchPage
from ai_agents.core.search_words import parse_query
from ai_agents.store.database import Store, reading
from ai_agents.store.messages import get_message, list_messages
from ai_agents.store.search import search
from ai_agents.store.search_threads import Search


class MessageStore(Store):
    """Messages as clients read them. Runs write them, and the creation of a thread."""

    get = reading(get_message)
    list = reading(list_messages, long=True)

    async def search(
        self,
        q: str,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        thread_id: str | None = None,
        within: AgentScope | None = None,
        shared: bool = False,
        limit: int = 20,
        after: str | None = None,
    ) -> SearchPage:
        """Messages of users and assistants with the words of `q`, best first: `{"data", "next"}`.

        `q` has words, "phrases", and -words that are not to be there; case and marks (ü, é) do not matter. Searched are
        the threads on which the user has a role (None: all threads); with `shared`, also those on which every user has
        one. Of these, only those `within` these agents, of one agent, or one thread. An entry is `{"message", "thread":
        {"id", "title"}, "snippet": {"text", "marks"}}`. `incomplete` is there, and True, where not all messages were
        searched: those of an older version, until they are indexed, or the oldest of very many. Raises
        `InvalidRequest`, `InvalidCursor`.
        """
        query = parse_query(q)
        asked = Search(query, user_id, thread_id=thread_id, agent_id=agent_id, within=within, shared=shared)
        if self._db.dialect == "sqlite":
            found = await self._db.read(lambda c: search(c, asked, limit=limit, after=after), long=True)
        else:
            # A transaction, since its time is limited.
            found = await self._db.write(lambda c: search(c, asked, limit=limit, after=after))
        return await asyncio.to_thread(found.to_page, query)

"""A client of the service: agents, threads, messages, and streams that go on after a broken connection.

    async with Client("http://127.0.0.1:8000", key) as client:
        thread = await client.create_thread(agent_id)
        async for event in client.stream(thread["id"], "Hello!"):
            print(event, end="")

`SyncClient` is the same without `async`. What the methods return are the rows of `ai_agents.core`, as the service sends
them. docs/client.md shows all of it.
"""

from ai_agents.client.answers import Answer
from ai_agents.client.client import Client, Me, MessageOptions
from ai_agents.client.errors import RunWaiting, ServiceProblem, ServiceUnreachable
from ai_agents.client.sync_client import SyncClient

__all__ = [
    "Answer", "Client", "Me", "MessageOptions", "RunWaiting", "ServiceProblem", "ServiceUnreachable", "SyncClient",
]  # fmt: skip

"""A web service of one's own: FastAPI, a thread for each user who asks, answers as server-sent events.

It needs `pip install fastapi uvicorn`. Run it: uvicorn --app-dir examples/library service:app --port 8100.
Then, in another terminal:

    curl -X POST "localhost:8100/threads?user_id=ada"
    curl -N -X POST "localhost:8100/threads/THE_ID/messages?user_id=ada" --data-urlencode "content=Hello!" -G
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from ai_agents import AgentRunner, AgentStore, ThreadStore, connect, get_provider, sse_response


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """One handle and one runner serve the whole process; at the end, runs under way get ten seconds."""
    async with connect("sqlite:///service.db") as conn:
        agents = AgentStore(conn)
        known = (await agents.list(name="assistant"))["data"]
        app.state.agent_id = (known[0] if known else await agents.create("assistant"))["id"]
        app.state.threads = ThreadStore(conn)
        app.state.runner = AgentRunner(conn, provider=get_provider("echo"))
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/threads", status_code=201)
async def create_thread(user_id: str) -> dict[str, str]:
    """A thread of this user. Who the user is, your own sign-in says."""
    thread = await app.state.threads.create(app.state.agent_id, owner_id=user_id)
    return {"id": thread["id"]}


@app.post("/threads/{thread_id}/messages")
async def send(thread_id: str, user_id: str, content: str) -> Response:
    """The answer as it comes. An unknown thread is 404, a busy one 409; a client that leaves does not stop the run."""
    return await sse_response(app.state.runner.stream(thread_id, user_id, content))

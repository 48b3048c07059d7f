"""A program as users write it, and what mypy says of its misspellings. `make lint` fails where it no longer says so."""

from ai_agents import AgentRunner, AgentStore, MessageStore, RunStore, ThreadStore, connect


async def talk() -> None:
    """A program without mistakes, and three with one mistake each."""
    async with await connect("sqlite://") as conn:
        agent = await AgentStore(conn).create("assistant", provider="echo")
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ann")
        runner = AgentRunner(conn)
        message = await runner.run(thread["id"], "ann", "Hello!", on_busy="queue", metadata={"n": 1})
        async for event in runner.stream(thread["id"], "ann", "Hello again!", on_busy="queue"):
            repr(event)
        page = await RunStore(conn).list(thread["id"])
        history = await MessageStore(conn).list(thread["id"])
        repr([message["content"], [run["id"] for run in page["data"] if run["status"] == "waiting"], history["data"]])

        runner.stream(thread["id"], "ann", "Hello again!", on_buzy="queue")  # type: ignore[call-arg]
        repr([run["status"] == "waitng" for run in page["data"]])  # type: ignore[comparison-overlap]
        repr(message["contents"])  # type: ignore[typeddict-item]

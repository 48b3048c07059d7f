"""The same without `await`: a script, a notebook's cell, a thread of a web server.

Run it: python examples/library/without_await.py.
"""

from ai_agents import get_provider, sync


def main() -> None:
    """Make an agent and a thread, and talk."""
    with sync.connect("sqlite://") as conn:
        runner = sync.AgentRunner(conn, provider=get_provider("echo"))
        agent = sync.AgentStore(conn).create("assistant")
        thread = sync.ThreadStore(conn).create(agent["id"], owner_id="ada")
        for event in runner.stream(thread["id"], "ada", "Hello!"):
            print(event, end="", flush=True)
        print()
        print(len(sync.MessageStore(conn).list(thread["id"])["data"]), "messages")


if __name__ == "__main__":
    main()

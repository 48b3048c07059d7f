"""The client without `async`: the same methods, made in a thread with an event loop of its own."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from anyio.from_thread import start_blocking_portal

from ai_agents.client.client import PATIENCE_S, Client

P = ParamSpec("P")
T = TypeVar("T")


def _call(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[SyncClient, P], T]":
    """The method without `async`."""

    @wraps(method)
    def call(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def run() -> T:
            return await method(self.client, *args, **kwargs)

        return self.portal.call(run)

    return call


def _each(
    method: Callable[Concatenate[Client, P], AsyncGenerator[T, None]],
) -> "Callable[Concatenate[SyncClient, P], Iterator[T]]":
    """The method whose generator is not asynchronous."""

    @wraps(method)
    def each(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        async def start() -> AsyncGenerator[T, None]:
            return method(self.client, *args, **kwargs)

        items = self.portal.call(start)
        try:
            while True:
                try:
                    item = self.portal.call(partial(_next, items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self.portal.call(items.aclose)

    return each


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


class SyncClient:
    """`Client` for programs without `async`. Lists and streams are generators. A context manager; or call `close`."""

    def __init__(self, url: str, key: str, *, patience_s: float = PATIENCE_S) -> None:
        self._stack = ExitStack()
        self.portal = self._stack.enter_context(start_blocking_portal())
        self.client = Client(url, key, patience_s=patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. What runs in the service goes on."""
        self.portal.call(self.client.close)
        self._stack.close()

    request = _call(Client.request)
    create_agent = _call(Client.create_agent)
    get_agent = _call(Client.get_agent)
    list_agents = _each(Client.list_agents)
    update_agent = _call(Client.update_agent)
    delete_agent = _call(Client.delete_agent)
    list_agent_versions = _each(Client.list_agent_versions)
    create_thread = _call(Client.create_thread)
    get_thread = _call(Client.get_thread)
    list_threads = _each(Client.list_threads)
    update_thread = _call(Client.update_thread)
    delete_thread = _call(Client.delete_thread)
    fork_thread = _call(Client.fork_thread)
    get_context = _call(Client.get_context)
    send = _call(Client.send)
    stream = _each(Client.stream)
    start = _call(Client.start)
    steer = _call(Client.steer)
    list_messages = _each(Client.list_messages)
    get_message = _call(Client.get_message)
    put_feedback = _call(Client.put_feedback)
    search_messages = _each(Client.search_messages)
    get_run = _call(Client.get_run)
    list_runs = _each(Client.list_runs)
    stream_run = _each(Client.stream_run)
    wait = _call(Client.wait)
    cancel_run = _call(Client.cancel_run)
    retry_run = _call(Client.retry_run)
    decide_tool_call = _call(Client.decide_tool_call)
    give_tool_results = _call(Client.give_tool_results)
    list_approvals = _each(Client.list_approvals)
    stream_thread_events = _each(Client.stream_thread_events)
    list_thread_events = _each(Client.list_thread_events)
    follow_threads = _each(Client.follow_threads)
    create_file = _call(Client.create_file)
    get_file = _call(Client.get_file)
    get_file_content = _call(Client.get_file_content)
    delete_file = _call(Client.delete_file)
    get_me = _call(Client.get_me)
    get_usage = _each(Client.get_usage)
    create_token = _call(Client.create_token)
    create_ticket = _call(Client.create_ticket)

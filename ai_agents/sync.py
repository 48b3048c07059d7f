"""The framework without `await`, for scripts, notebooks and threads.

    from ai_agents import get_provider, sync

    with sync.connect("sqlite:///agents.db") as conn:
        agent = sync.AgentStore(conn).create("assistant")
        thread = sync.ThreadStore(conn).create(agent["id"], owner_id="ada")
        runner = sync.AgentRunner(conn, provider=get_provider("echo"))
        for event in runner.stream(thread["id"], "ada", "Hello!"):
            print(event, end="", flush=True)

Names, arguments, results and errors are those of `ai_agents`. One thread runs one event loop for all handles; each call
runs there, and its caller waits. The thread ends with the program and closes the handles that are still open. What has
no function here is awaited by `run`, on the object that is in `aio`: `sync.run(runner.aio.read_thread(thread_id))`.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from ai_agents import agents, connection
from ai_agents.attachments import files as attachments
from ai_agents.attachments.storage import BlobStore
from ai_agents.auth import approvals, roles
from ai_agents.auth.limits import Limits
from ai_agents.auth.use import UseRights
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.core.rows import Job
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.runner import runner
from ai_agents.runner.handle import GRACE_S, DatabaseHandle, leaving_grace_s
from ai_agents.runner.limits import RunLimits
from ai_agents.store import credentials, feedback, files, message_store, model_calls, run_lists, threads
from ai_agents.store.sealing import Sealer
from ai_agents.tools.registry import ToolSource
from ai_agents.workers import queue

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

__all__ = [
    "AgentRunner", "AgentStore", "Approvals", "Attachments", "Connection", "CredentialStore", "FeedbackStore",
    "FileStore", "MessageStore", "RoleAuth", "RunStore", "ThreadStore", "UsageStore", "connect", "queue_summarization",
    "queue_title_generation", "run",
]  # fmt: skip


class _Background:
    """The thread with the event loop. It starts with the first call."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without a thread; anew in a process that was forked, where the thread is not there."""
        self.open_handles: set[DatabaseHandle] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Raises RuntimeError within the thread itself, which would wait for itself."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("This code runs in the event loop already: await the functions of ai_agents here.")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()  # where Ctrl-C ends the waiting
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                if self._ended:
                    raise RuntimeError("The program is ending.")
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="ai-agents", daemon=True)
                self._thread.start()
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def end(self) -> None:
        """Close the handles that are open, without waiting for their runs, and end the thread."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            for handle in list(self.open_handles):
                with suppress(Exception):  # the program ends in any case
                    self.run(handle.close(grace_s=0))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
        self._loop, self._ended = None, True


_background = _Background()
# Before the pools of threads end, which closing needs: `atexit` comes after them.
getattr(threading, "_register_atexit", atexit.register)(_background.end)
os.register_at_fork(after_in_child=_background.begin)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of any coroutine, awaited in the event loop of this module. Raises what it raises."""
    return _background.run(coroutine)


class _Facade(Generic[T]):
    """An object of the framework, whose coroutines are functions here."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.aio = run(_made(make))

    def __repr__(self) -> str:
        return repr(self.aio).replace("<", "<sync ", 1)


async def _made(make: Callable[[], T]) -> T:
    """Made within the loop, to which it may belong."""
    return make()


def _blocking(
    function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[_Facade[Any], P], R]:
    @wraps(function)
    def call(self: _Facade[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return run(function(self.aio, *args, **kwargs))

    return call


def _iterating(
    function: Callable[Concatenate[Any, P], AsyncGenerator[R]],
) -> Callable[Concatenate[_Facade[Any], P], Generator[R]]:
    @wraps(function)
    def iterate(self: _Facade[Any], /, *args: P.args, **kwargs: P.kwargs) -> Generator[R]:
        source = function(self.aio, *args, **kwargs)
        try:
            while True:
                try:
                    item = run(_next(source))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            with suppress(RuntimeError):  # at the end of the program
                run(_closed(source))

    return iterate


async def _next(source: AsyncGenerator[T]) -> T:
    return await anext(source)


async def _closed(source: AsyncGenerator[Any]) -> None:
    await source.aclose()


def _queueing(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return run(function(*args, **kwargs))

    return call


class Connection(_Facade[DatabaseHandle]):
    """A handle on a database; `connect` opens one. It has no `transaction()`: each call is one by itself."""

    create_all = _blocking(DatabaseHandle.create_all)

    def close(self, *, grace_s: float = GRACE_S) -> None:
        """Let the runs under way end, for `grace_s` seconds at most, and close everything."""
        _background.open_handles.discard(self.aio)
        run(self.aio.close(grace_s=grace_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(grace_s=leaving_grace_s(kind))


def _handle(conn: Connection) -> DatabaseHandle:
    if not isinstance(conn, Connection):
        raise TypeError(f"This takes what `sync.connect(…)` returns, not {type(conn).__name__}.")
    return conn.aio


def _connecting(function: Callable[P, connection.Connecting]) -> Callable[P, Connection]:
    @wraps(function)
    def connect(*args: P.args, **kwargs: P.kwargs) -> Connection:
        handle = run(function(*args, **kwargs))
        _background.open_handles.add(handle)
        return Connection(lambda: handle)

    return connect


connect = _connecting(connection.connect)
queue_summarization: Callable[[str], Job] = _queueing(queue.queue_summarization)
queue_title_generation: Callable[[str], Job] = _queueing(queue.queue_title_generation)


class AgentStore(_Facade[agents.AgentStore]):
    """See `ai_agents.AgentStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: agents.AgentStore(_handle(conn)))

    create = _blocking(agents.AgentStore.create)
    get = _blocking(agents.AgentStore.get)
    find = _blocking(agents.AgentStore.find)
    list = _blocking(agents.AgentStore.list)
    update = _blocking(agents.AgentStore.update)
    delete = _blocking(agents.AgentStore.delete)
    list_versions = _blocking(agents.AgentStore.list_versions)
    get_version = _blocking(agents.AgentStore.get_version)


class ThreadStore(_Facade[threads.ThreadStore]):
    """See `ai_agents.ThreadStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: threads.ThreadStore(_handle(conn)))

    create = _blocking(threads.ThreadStore.create)
    get = _blocking(threads.ThreadStore.get)
    get_with_version = _blocking(threads.ThreadStore.get_with_version)
    find = _blocking(threads.ThreadStore.find)
    list = _blocking(threads.ThreadStore.list)
    update = _blocking(threads.ThreadStore.update)
    update_with_version = _blocking(threads.ThreadStore.update_with_version)
    delete = _blocking(threads.ThreadStore.delete)
    fork = _blocking(threads.ThreadStore.fork)


class MessageStore(_Facade[message_store.MessageStore]):
    """See `ai_agents.MessageStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: message_store.MessageStore(_handle(conn)))

    get = _blocking(message_store.MessageStore.get)
    list = _blocking(message_store.MessageStore.list)
    search = _blocking(message_store.MessageStore.search)


class RunStore(_Facade[run_lists.RunStore]):
    """See `ai_agents.RunStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: run_lists.RunStore(_handle(conn)))

    get = _blocking(run_lists.RunStore.get)
    list = _blocking(run_lists.RunStore.list)
    list_visible = _blocking(run_lists.RunStore.list_visible)


class RoleAuth(_Facade[roles.RoleAuth]):
    """See `ai_agents.RoleAuth`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: roles.RoleAuth(_handle(conn)))

    assign_role = _blocking(roles.RoleAuth.assign_role)
    role_of = _blocking(roles.RoleAuth.role_of)
    roles_of = _blocking(roles.RoleAuth.roles_of)
    thread_access = _blocking(roles.RoleAuth.thread_access)
    agent_access = _blocking(roles.RoleAuth.agent_access)
    may_see = _blocking(roles.RoleAuth.may_see)


class Approvals(_Facade[approvals.Approvals]):
    """See `ai_agents.Approvals`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: approvals.Approvals(_handle(conn)))

    list = _blocking(approvals.Approvals.list)


class Attachments(_Facade[attachments.Attachments]):
    """See `ai_agents.Attachments`."""

    def __init__(self, conn: Connection, blobs: BlobStore) -> None:
        super().__init__(lambda: attachments.Attachments(_handle(conn), blobs))

    open = _blocking(attachments.Attachments.open)
    add = _blocking(attachments.Attachments.add)
    delete = _blocking(attachments.Attachments.delete)


class CredentialStore(_Facade[credentials.CredentialStore]):
    """See `ai_agents.CredentialStore`."""

    def __init__(self, conn: Connection, sealer: Sealer) -> None:
        super().__init__(lambda: credentials.CredentialStore(_handle(conn), sealer))

    put = _blocking(credentials.CredentialStore.put)
    delete = _blocking(credentials.CredentialStore.delete)
    list = _blocking(credentials.CredentialStore.list)


class FeedbackStore(_Facade[feedback.FeedbackStore]):
    """See `ai_agents.FeedbackStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: feedback.FeedbackStore(_handle(conn)))

    put = _blocking(feedback.FeedbackStore.put)
    own = _blocking(feedback.FeedbackStore.own)
    list = _blocking(feedback.FeedbackStore.list)


class FileStore(_Facade[files.FileStore]):
    """See `ai_agents.FileStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: files.FileStore(_handle(conn)))

    get = _blocking(files.FileStore.get)


class UsageStore(_Facade[model_calls.UsageStore]):
    """See `ai_agents.UsageStore`."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(lambda: model_calls.UsageStore(_handle(conn)))

    sums = _blocking(model_calls.UsageStore.sums)


class AgentRunner(_Facade[runner.AgentRunner]):
    """See `ai_agents.AgentRunner`. A stream is an ordinary iterator; leaving it leaves the run going."""

    def __init__(
        self,
        conn: Connection,
        auth: RoleAuth | None = None,
        provider: Provider | None = None,
        memory: MemoryStrategy | None = None,
        *,
        providers: ProviderPool | None = None,
        use_rights: UseRights | None = None,
        tools: ToolSource | None = None,
        models: ModelCatalogue | None = None,
        limits: RunLimits | None = None,
        user_limits: Limits | None = None,
        blobs: BlobStore | None = None,
        auto_title: bool = False,
        judges_fail_open: bool = False,
    ) -> None:
        super().__init__(
            lambda: runner.AgentRunner(
                _handle(conn),
                None if auth is None else auth.aio,
                provider,
                memory,
                providers=providers,
                use_rights=use_rights,
                tools=tools,
                models=models,
                limits=limits,
                user_limits=user_limits,
                blobs=blobs,
                auto_title=auto_title,
                judges_fail_open=judges_fail_open,
            )
        )

    run = _blocking(runner.AgentRunner.run)
    stream = _iterating(runner.AgentRunner.stream)
    start = _blocking(runner.AgentRunner.start)
    retry = _blocking(runner.AgentRunner.retry)
    start_retry = _blocking(runner.AgentRunner.start_retry)
    wait = _blocking(runner.AgentRunner.wait)
    wait_for_answer = _blocking(runner.AgentRunner.wait_for_answer)
    decide = _blocking(runner.AgentRunner.decide)
    give_results = _blocking(runner.AgentRunner.give_results)
    cancel = _blocking(runner.AgentRunner.cancel)
    context = _blocking(runner.AgentRunner.context)
    judge_input = _blocking(runner.AgentRunner.judge_input)
    follow_activity = _iterating(runner.AgentRunner.follow_activity)
    open = _blocking(runner.AgentRunner.open)
    drain = _blocking(runner.AgentRunner.drain)

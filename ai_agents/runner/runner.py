"""AgentRunner: admits a message to a thread, runs the agent, and lets readers follow."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

from sqlalchemy import Connection

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import BlobStore
from ai_agents.auth.limits import Limits
from ai_agents.auth.roles import RoleAuth
from ai_agents.auth.use import UseRights
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.context.view import StrategyAsked, fetch_context, plan_view, show_files
from ai_agents.core.context_rows import ContextView
from ai_agents.core.events import TERMINAL_EVENTS, Event
from ai_agents.core.exceptions import RunNotFound
from ai_agents.core.json import clean_text
from ai_agents.core.rows import Agent, Message, Run
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import RunRow
from ai_agents.core.types import TERMINAL_RUN_STATUSES, FilePart, TextPart
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.runner.admission import MessageAdmission
from ai_agents.runner.admission_request import AdmissionRequest
from ai_agents.runner.client_calls import ClientCalls, GivenResult, GivenResults, Giver
from ai_agents.runner.decisions import Decision, cancel, decide
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.runner.input_guarding import JudgedMessage
from ai_agents.runner.limits import RunLimits
from ai_agents.runner.outcomes import Outcomes, RunResult, Started, answer_of, stopping
from ai_agents.runner.parts import check_parts
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.sending import (
    Content,
    MessageOptions,
    RetryOptions,
    check_options,
    check_schema,
    check_sender,
    content_parts,
)
from ai_agents.store import runs
from ai_agents.store.database import check_ids
from ai_agents.streams.cursor import cursor_at_start, cursor_in_run, cursor_in_thread
from ai_agents.streams.feed import Follower
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from ai_agents.tools.client_tools import check_client_tools
from ai_agents.tools.registry import ToolSource, default_registry


class AgentRunner:
    """Runs agents in threads.

    `provider` and `memory` are defaults: an agent's own provider and memory win. The agent's own provider comes from
    `providers`. `tools` are the tools that agents may name, by default those of `register_tool`. `use_rights` say which
    of both the owners of an agent may use. `models` knows windows and prices of models. `blobs` stores the bytes of
    attachments: without it none can be sent, and the rest of long tool results is lost. `limits` hold each run, and
    `user_limits` each user, by default not at all.
    Methods that start a run use a transaction of their own, and are refused within `conn.transaction()`.
    With `auto_title` a thread without a title gets one in the background after its first exchange. A judge that cannot
    be asked allows nothing, unless `judges_fail_open`. `conn.close()` closes the connections of the providers.
    """

    def __init__(
        self,
        conn: DatabaseHandle,
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
        """Raises TypeError for a part that is something else."""
        check_parts(conn, auth, provider, memory, providers)
        self.conn = conn
        self.auth = auth or RoleAuth(conn)
        self._database = conn.database
        self._executor = conn.executor
        self._outcomes = Outcomes(conn)
        tools = default_registry if tools is None else tools
        self.contexts = Contexts(
            conn.database,
            provider=provider,
            memory=memory,
            providers=providers,
            rights=use_rights,
            tools=tools,
            models=models,
            blobs=blobs,
            judges_fail_open=judges_fail_open,
            slots=conn.executor.slots,
            budgets=conn.executor.budgets,
        )
        conn.bus.listen_revoked(self.contexts.forget)
        conn.use(tools, self.contexts.models.pool, provider)
        limits = limits or RunLimits()
        attachments = None if blobs is None else Attachments(conn, blobs)
        self._preparer = TurnPreparer(
            conn.database, self.contexts, limits=limits, attachments=attachments, auto_title=auto_title
        )
        self._client_calls = ClientCalls(conn, self._preparer, self.contexts, limits=limits, attachments=attachments)
        if user_limits is not None:
            conn.executor.budgets.limits = user_limits
        self._admission = MessageAdmission(conn, self._preparer, self.contexts, user_limits or Limits())
        if conn.executor.background is not None:
            conn.executor.background.start(self.contexts)

    def __repr__(self) -> str:
        return f"<AgentRunner on {self._database!r}>"

    # The main job.

    async def run(self, thread_id: str, user_id: str, content: Content, **options: Unpack[MessageOptions]) -> Message:
        """Send a message and wait for the answer: the assistant's message. The options are `MessageOptions`.

        Raises what `start` raises, and what the run failed with: a `RunError`, `RunCancelled` if it was
        cancelled before any text, `RunWaiting` if it waits for a person (`decide`, then `wait`).
        """
        started = await self.start(thread_id, user_id, content, **options)
        return answer_of(await self.wait_for_answer(started))

    async def stream(
        self, thread_id: str, user_id: str, content: Content, **options: Unpack[MessageOptions]
    ) -> AsyncGenerator[Event]:
        """Send a message and yield the run's events to its last; `str(event)` is its text.

        The options are `MessageOptions`. Leaving the iteration leaves the run going. Raises what `start` raises; after
        the event `run.failed` what `run` raises; and `Overloaded` where the process stops before the run has ended.
        """
        started = await self.start(thread_id, user_id, content, follow=True, **options)
        reader = await self.read_started(started)
        events, last = reader.events(), ""
        try:
            async for event in events:
                last = event.type
                yield event
        finally:
            await events.aclose()
        if last == "run.failed":
            # A message that joined the run may have had its answer before.
            answer_of(await self.wait_for_answer(started))
        elif last not in TERMINAL_EVENTS and last != "thread.deleted":
            raise stopping()

    async def start(
        self,
        thread_id: str,
        user_id: str,
        content: Content,
        *,
        follow: bool = False,
        right: ReadRight | None = None,
        **options: Unpack[MessageOptions],
    ) -> Started:
        """Store a message and begin to answer it, without waiting for the answer.

        With `follow` the result has a reader of the run from its first event, which ends if the `right` to it is lost.
        If the caller is cancelled, the run may go on.

        Raises `ThreadNotFound`, `PermissionDenied`, `AgentDeleted`, `ThreadBusy`, `QueueFull`, `IdempotencyKeyReused`,
        `GuardrailBlocked`, `InvalidRequest` for empty content, for files that the user may not read, for tools of the
        client that are not allowed and for a user id that is empty or `*`,
        `UnsupportedAttachment` for one that the model cannot be given, `Overloaded` while the process stops or too many
        runs wait,
        `SecondProcess`, `DatabaseUnavailable`; TypeError for an option that there is not and an id that is no text.
        """
        check_options(options, MessageOptions)
        check_sender(user_id)
        check_ids(thread_id=thread_id)
        await self.open()
        if client_tools := options.get("client_tools"):
            # In a thread: counting what schemas apply may take long.
            await self.contexts.compiling.run(user_id, check_client_tools, client_tools)
        if schema := (options.get("overrides") or {}).get("output_schema"):
            await self.contexts.compiling.run(user_id, check_schema, schema)
        request = AdmissionRequest(
            thread_id, user_id, content_parts(content, options.get("attachments", ())), **options
        )
        return await self._start(request, follow=follow, right=right)

    async def retry(self, thread_id: str, run_id: str, user_id: str, **options: Unpack[RetryOptions]) -> Message:
        """Answer the message of a thread's last run anew and wait for the answer. What it had answered is superseded.

        Raises what `start_retry` raises, and what the run failed with, as `run` does.
        """
        return answer_of(await self.wait_for_answer(await self.start_retry(thread_id, run_id, user_id, **options)))

    async def start_retry(
        self,
        thread_id: str,
        run_id: str,
        user_id: str,
        *,
        follow: bool = False,
        right: ReadRight | None = None,
        **options: Unpack[RetryOptions],
    ) -> Started:
        """Begin to answer the message of a thread's last run anew, in a new run of this user; `start` says the rest.

        The message keeps its place in the history. What the run had answered to it is marked `superseded`, and no model
        is sent it any more. Where messages have joined the run after an answer, that answer stands.

        Raises `ThreadNotFound`, `RunNotFound`, `PermissionDenied`, `AgentDeleted`, `ThreadBusy`, `Conflict` for a run
        that is not the last one, `IdempotencyKeyReused`, `InvalidRequest` for a user id that is empty or `*`,
        `Overloaded`, `SecondProcess`, `DatabaseUnavailable`.
        """
        check_options(options, RetryOptions)
        check_sender(user_id)
        check_ids(thread_id=thread_id, run_id=run_id)
        await self.open()
        request = AdmissionRequest(thread_id, user_id, (), retry_of=run_id, **options)
        return await self._start(request, follow=follow, right=right)

    async def _start(self, request: AdmissionRequest, *, follow: bool, right: ReadRight | None) -> Started:
        # Held before the commit, so that the channel knows the run's first row when the reader asks for it.
        channel = self.conn.bus.hold(request.thread_id)
        try:
            admitted = await self._admission.admit(request)
            started = Started(admitted.run, admitted.user_message, admitted.replayed, admitted.message_id)
            if admitted.follow_up.run is not None:
                started = replace(started, answered=self._executor.find_answered(admitted.run["id"]))
                if follow:
                    cursor = cursor_at_start(admitted.follow_up.run)
                    started = replace(started, reader=self.conn.readers.open(cursor, behind=False, right=right))
        finally:
            self.conn.bus.release(channel)
        return started

    async def judge_input(
        self, agent: Agent, parts: Sequence[TextPart | FilePart], *, user_id: str, is_admin: bool = False
    ) -> JudgedMessage:
        """The allowed form of text and files that get into an agent's thread without being answered.

        Raises `GuardrailBlocked`, `BudgetExceeded`, `StorageUnavailable`.
        """
        purpose = CallPurpose.of_agent(agent, None, user_id=user_id, by_admin=is_admin)
        return await self._admission.judge(agent, parts, purpose)

    async def wait_for_answer(self, started: Started) -> RunResult:
        """The first answer after a message, or its run where that has ended or waits for a person before."""
        return await self._outcomes.of_message(started)

    async def wait(self, thread_id: str, run_id: str) -> RunResult:
        """The run once it has ended, or waits for a person or the client, on whichever process it runs.

        Raises `RunNotFound`.
        """
        return await self._outcomes.of_run(thread_id, run_id)

    async def decide(
        self, thread_id: str, run_id: str, tool_call_id: str, *, approved: bool, reason: str | None = None
    ) -> Run:
        """Approve or refuse a waiting tool call; the run, which goes on after the last decision.

        The model is told the `reason`, which passes the agent's input guardrails first. Roles are not checked here.
        Raises `ThreadNotFound`, `RunNotFound`, `ToolCallNotFound`, `Conflict` for a call that does not wait (any more),
        `GuardrailBlocked`.
        """
        await self.open()
        decision = Decision(tool_call_id, approved=approved)
        if reason:
            decision = await self._with_reason(decision, thread_id, run_id, clean_text(reason))
        decided = await self._executor.commit(
            lambda c: decide(c, thread_id, run_id, decision, self._executor.lease), self._preparer
        )
        return decided.run

    async def give_results(
        self,
        thread_id: str,
        run_id: str,
        user_id: str,
        results: Sequence[GivenResult],
        *,
        is_admin: bool = False,
        within: AgentScope | None = None,
    ) -> GivenResults:
        """Give results of calls of the client's tools: some of those that wait, or all. Then the run goes on.

        They pass the agent's input guardrails, and long ones are cut, as results of other tools are. The user needs the
        right to send. Raises `ThreadNotFound`, `RunNotFound`, `PermissionDenied`, `AgentDeleted`, `ToolCallNotFound`,
        `Conflict` for a call that does not wait for a result (any more), `InvalidRequest` for none or two of a call.
        """
        await self.open()
        return await self._client_calls.give(Giver(thread_id, run_id, user_id, is_admin, within), results)

    async def _with_reason(self, decision: Decision, thread_id: str, run_id: str, reason: str) -> Decision:
        def find(connection: Connection) -> tuple[Agent, RunRow]:
            row = runs.get_row(connection, thread_id, run_id)
            return self.contexts.agents.get(connection, row["agent_id"], row["agent_version"]), row

        agent, run = await self._database.read(find)
        judged = await self.judge_input(agent, [TextPart(reason)], user_id=run["user_id"], is_admin=run["by_admin"])
        seen = "".join(part.text for part in judged.parts if isinstance(part, TextPart))
        return replace(decision, reason=seen, findings=judged.findings)

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Stop a run on whichever process it runs; the run as it ended. Raises `RunNotFound`."""
        requested = await self._executor.commit(
            lambda c: cancel(c, thread_id, run_id, self._executor.lease), self._preparer
        )
        if requested.run["status"] in TERMINAL_RUN_STATUSES:
            return requested.run
        self.conn.bus.request_cancel(run_id)
        return (await self.wait(thread_id, run_id)).run

    async def context(
        self,
        thread_id: str,
        user_id: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        strategy: StrategyAsked = None,
        is_admin: bool = False,
        within: AgentScope | None = None,
    ) -> ContextView:
        """What the model would be sent now: `provider, model, strategy, system, summary, messages, tools, tokens,
        left_out`, and `last_call`: what of the last such call came from the provider's cache. A given provider, model
        or strategy replaces the agent's own.

        It is built like a run's request. But a run's new message is missing here, and it counts: a window of 20
        messages holds 19 of the messages here.
        A message with a null `seq` is not stored: the summary, a gap's note, a result for a call without one.
        `system` and `tools` are null for users who may not see the agent. Nothing is left out for a window that is too
        small for the newest turn: then `tokens.total` is more than `tokens.window`, and a run would fail.
        A file says how it is `sent_as`: as `data`, as its `text`, which is there, or by its `name`.

        Raises `ThreadNotFound`, `StorageUnavailable`, `InvalidRequest` for an unknown provider or strategy and where no
        model is named.
        """
        await self.contexts.refresh()
        work = partial(
            fetch_context,
            contexts=self.contexts,
            thread_id=thread_id,
            user_id=user_id,
            provider=provider,
            model=model,
            strategy=strategy,
            is_admin=is_admin,
            within=within,
        )
        fetched = await self._database.read(work, long=True)
        if await self.contexts.models.prepare_named(fetched.provider, fetched.model):
            fetched = await self._database.read(work, long=True)
        size = len(fetched.window.messages)
        planned = await self.contexts.compute(user_id, size, partial(plan_view, self.contexts, fetched))
        return await show_files(self.contexts, planned)

    # Following runs and threads.

    async def read_started(self, started: Started, *, right: ReadRight | None = None) -> StreamReader:
        """A reader of the run from its first event, as long as there is the `right`."""
        if started.reader is not None:
            return started.reader
        reader = await self.read_run(started.run["thread_id"], started.run["id"], right=right)
        if reader is None:
            raise RunNotFound
        return reader

    async def read_run(
        self,
        thread_id: str,
        run_id: str,
        *,
        after: str | None = None,
        right: ReadRight | None = None,
    ) -> StreamReader | None:
        """A reader of a run's events, from the first one or after an event id; None where that was the last event.

        It ends when the `right` to read is lost. Raises `RunNotFound`, `InvalidEventId`, `LogTrimmed`.
        """
        cursor = await self._database.read(lambda c: cursor_in_run(c, thread_id, run_id, after))
        return None if cursor is None else self.conn.readers.open(cursor, right=right)

    async def read_thread(
        self, thread_id: str, *, after: str | None = None, right: ReadRight | None = None
    ) -> StreamReader:
        """A reader of all events of a thread from now on, or after an event id.

        It ends when the `right` to read is lost. Raises `ThreadNotFound`, `InvalidEventId`, `LogTrimmed`.
        """
        cursor = await self._database.read(lambda c: cursor_in_thread(c, thread_id, after))
        return self.conn.readers.open(cursor, right=right)

    async def follow_activity(
        self, user_id: str, *, shared: bool = False, is_admin: bool = False, within: AgentScope | None = None
    ) -> AsyncGenerator[Event]:
        """Hints about all threads that the user sees, from now on: `thread.activity` and `thread.deleted`.

        `event.data["thread"]` has `id`, `title`, `last_activity_at`, `running` and `waiting`; of a deleted one `id`
        alone. Hints come within about a second, have no ids and may be merged. The iteration ends where there is too
        much to tell, and when the process stops: list the threads again then. With `shared`, also of threads on which
        every user has a role; with `is_admin`, of all threads; of all these, those `within` these agents.
        """
        follower = Follower(user_id, shared=shared, sees_all=is_admin, within=within)
        events = self.conn.feed.open(follower).events()
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    # The process.

    @property
    def breakers_open(self) -> int:
        """How many models are skipped now, since they failed again and again."""
        return self._preparer.breakers.count_open()

    async def open(self) -> None:
        """Begin to execute runs: renew leases, take over abandoned runs. The first `start` does it, too.

        Raises `SecondProcess` where another process runs agents on the same database and there is no Redis.
        """
        await self._executor.open(self._preparer)

    async def drain(self, grace_s: float = 10.0) -> None:
        """Take no new messages, and end the streams. Runs under way here and their readers get `grace_s` seconds first.

        A stream that ends can be resumed on another process with its last event id.
        """
        for reader in self.conn.readers:
            if reader.run_id is None or self._executor.find_ended(reader.run_id) is None:
                reader.end()
        self.conn.feed.end()
        await self._executor.drain(grace_s)
        for reader in self.conn.readers:
            reader.end()

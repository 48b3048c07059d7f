"""A conversation with an agent of a running service, at a terminal or in a pipe."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from ai_agents.client import Client, ServiceProblem, ServiceUnreachable
from ai_agents.core.events import Event
from ai_agents.core.wording import harmless
from app.commands.command import DONE, INTERRUPTED, CommandFailed, sentence_of_os
from app.commands.finding import find_agent
from app.commands.interrupts import Interrupts
from app.commands.service import Address
from app.commands.terminal import is_terminal, note
from app.commands.transcript import Transcript, call_of

_AGENT = "assistant"
# The service may be away for as long as an upgrade takes.
_PATIENCE_S = 300.0
# A model may think for longer: then the service is asked whether it is there.
_SILENCE_S = 3.0
_ACTIVE = frozenset({"queued", "running", "waiting"})
_EARLIER = 2
HELP = """\
/new          a new conversation with the same agent
/retry        answer the last message anew
/file PATH    attach a file to the next message
/help         these commands
/quit         leave, as Ctrl+D does
Ctrl+C stops an answer. All else that begins with / is a message."""


async def converse(address: Address, *, agent: str | None, thread_id: str | None, question: str | None) -> int:
    """Answer one question, or all that a person types until the input ends. Returns the exit code.

    Raises `CommandFailed`, and what clients raise.
    """
    # A wrong address or key is told at once; what breaks later is waited for.
    async with address.connect() as probe, address.connect(patience_s=_PATIENCE_S) as client:
        await probe.get_me()
        conversation = Conversation(client, probe, agent=agent, thread_id=thread_id)
        if question is not None:
            return await conversation.answer(question)
        return await conversation.talk()


class Conversation:
    """One thread at a time, which is made with its first message. `probe` is a client that does not try again."""

    def __init__(self, client: Client, probe: Client, *, agent: str | None, thread_id: str | None) -> None:
        self._client = client
        self._probe = probe
        self._agent = agent
        self._thread_id = thread_id
        self._run_id: str | None = None
        self._attachments: list[str] = []
        self._transcript = Transcript()
        self._interrupts = Interrupts()
        self._stopping: asyncio.Task[None] | None = None

    async def answer(self, question: str) -> int:
        """Print the answer to one question. Returns the exit code."""
        thread_id = await self._thread()
        try:
            await self._follow(self._client.stream(thread_id, question))
        except ServiceProblem as problem:
            raise CommandFailed(f"There is no answer: {await self._words(problem)}") from problem
        return INTERRUPTED if self._stopping is not None else DONE

    async def talk(self) -> int:
        """Answer each line of the terminal, until the input ends. Returns the exit code."""
        _prepare_editing()
        note("/help shows commands; Ctrl+D leaves.", "dim")
        if self._thread_id is not None:
            await self._go_on(self._thread_id)
        self._interrupts.leave_alone()
        try:
            while (line := _read_line("> ")) is not None:
                if line.strip() == "/quit":
                    break
                try:
                    await self._take(line)
                except ServiceProblem as problem:
                    self._transcript.note(harmless(await self._words(problem)), "red")
                except CommandFailed as error:
                    self._transcript.note(str(error), "red")
                except OSError as error:  # of a file to attach
                    self._transcript.note(sentence_of_os(error), "red")
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            if self._thread_id is not None:
                note(f"Go on with: ai-agents chat --thread {self._thread_id}", "dim")
        return DONE

    async def _take(self, line: str) -> None:
        """Do what a line asks for. Raises `ServiceProblem`, `CommandFailed`, `OSError`."""
        word, _, rest = line.strip().partition(" ")
        match word:
            case "":
                pass
            case "/help":
                note(HELP)
            case "/new":
                self._thread_id = self._run_id = None
            case "/file":
                await self._attach(rest.strip())
            case "/retry":
                await self._retry()
            case _:
                thread_id = await self._thread()
                attachments, self._attachments = self._attachments, []
                await self._follow(self._client.stream(thread_id, line, attachments=attachments))

    async def _words(self, problem: ServiceProblem) -> str:
        """What went wrong, with the words of a provider for those who may read them: the agent's editors and admins."""
        if not problem.code.startswith("provider_") or self._thread_id is None or self._run_id is None:
            return problem.detail
        try:
            upstream = (await self._probe.get_run(self._thread_id, self._run_id)).get("upstream")
        except ServiceProblem:
            return problem.detail
        return f"{problem.detail} It said: {upstream['message']}" if upstream else problem.detail

    async def _attach(self, name: str) -> None:
        made = await self._client.create_file(_path(name))
        self._attachments.append(made["id"])
        note(f"{harmless(made['filename'])} goes with the next message.", "dim")

    async def _retry(self) -> None:
        if self._thread_id is None or self._run_id is None:
            raise CommandFailed("There is no answer yet.")
        run = await self._client.retry_run(self._thread_id, self._run_id)
        await self._follow(self._client.stream_run(self._thread_id, run["id"]))

    async def _thread(self) -> str:
        """The thread's id. Raises `CommandFailed` where the agent is not there."""
        if self._thread_id is None:
            agent_id = (await find_agent(self._client, self._agent))["id"] if self._agent else await self._own_agent()
            self._thread_id = (await self._client.create_thread(agent_id))["id"]
        return self._thread_id

    async def _own_agent(self) -> str:
        """The agent for those who have named none."""
        async for agent in self._client.list_agents():
            if agent["name"] == _AGENT:
                return agent["id"]
        made = await self._client.create_agent(name=_AGENT, system_prompt="You are a helpful assistant.")
        return made["id"]

    async def _go_on(self, thread_id: str) -> None:
        """Show the end of the history, and follow a run that is under way."""
        earlier = list[Any]()
        async with aclosing(self._client.list_messages(thread_id, order="desc")) as messages:
            async for message in messages:
                if message["role"] in {"user", "assistant"} and message["content"]:
                    earlier.append(message)
                if len(earlier) == _EARLIER:
                    break
        async with aclosing(self._client.list_runs(thread_id)) as runs:
            last = await anext(runs, None)
        for message in reversed(earlier):
            mark = "> " if message["role"] == "user" else ""
            note(f"{mark}{harmless(message['content'])}", "dim")
        if last is None:
            return
        self._run_id = last["id"]
        if last["status"] in _ACTIVE:
            try:
                await self._follow(self._client.stream_run(thread_id, last["id"]))
            except (ServiceProblem, CommandFailed) as error:
                self._transcript.note(harmless(str(error)), "red")

    async def _follow(self, events: AsyncGenerator[Event, None]) -> None:
        """Show a run until it has ended. Raises what clients raise, and `CommandFailed` where it waits in vain."""
        self._stopping = None
        self._run_id = None
        self._transcript.begin()
        heard = asyncio.Event()
        watching = asyncio.create_task(self._watch(heard))
        try:
            with self._interrupts.heard(self._stop):
                async with aclosing(events):
                    async for event in events:
                        heard.set()
                        self._run_id = event.run_id or self._run_id
                        self._transcript.show(event)
                        if event.type == "run.waiting":
                            await self._decide(event.data)
            self._transcript.finish()
        except ServiceProblem:
            if self._stopping is None:
                raise
            # It was stopped before it had an answer.
        finally:
            watching.cancel()
            self._transcript.end_line()

    async def _watch(self, heard: asyncio.Event) -> None:
        """Tell once where the service is away. The client only waits until it is back."""
        while True:
            heard.clear()
            await asyncio.sleep(_SILENCE_S)
            if heard.is_set():
                continue
            try:
                await self._probe.request("GET", "/livez")
            except (ServiceProblem, ServiceUnreachable, ValueError):  # a proxy may answer with a page of its own
                if not heard.is_set():
                    self._transcript.note("The service does not answer: this goes on when it is back.", "yellow")
                    return

    def _stop(self) -> bool:
        """Ask the service to stop the run. False where there is none yet."""
        if self._thread_id is None or self._run_id is None:
            return False
        self._stopping = asyncio.create_task(self._cancel(self._thread_id, self._run_id))
        return True

    async def _cancel(self, thread_id: str, run_id: str) -> None:
        try:
            await self._client.cancel_run(thread_id, run_id)
        except ServiceProblem as problem:
            self._transcript.note(f"It cannot be stopped: {harmless(problem.detail)}", "red")

    async def _decide(self, waiting: Mapping[str, Any]) -> None:
        """Ask the person about each call that waits. Raises `CommandFailed` where there is no person to ask."""
        calls = waiting["approvals"]
        if not calls or not is_terminal(sys.stdin):
            what = ", ".join(call_of(each) for each in calls) or "the tools of another client"
            hint = f": ai-agents chat --thread {self._thread_id} asks for it" if calls else ""
            raise CommandFailed(f"The run {self._run_id} waits for a decision on {what}{hint}.")
        for call in calls:
            with self._interrupts.paused():
                answer = self._ask(call)
            if answer is None:
                return
            await self._send_decision(call["tool_call_id"], answer)

    def _ask(self, call: Mapping[str, Any]) -> str | None:
        """What the person says of a call; None where they stop the run instead."""
        self._transcript.note(f"May it call {call_of(call)}?", "bold")
        try:
            answer = _read_line("[y]es, [n]o, or why not: ")
        except KeyboardInterrupt:
            self._stop()
            return None
        if answer is None:
            raise CommandFailed("The run goes on waiting.")
        return answer.strip()

    async def _send_decision(self, call_id: str, answer: str) -> None:
        is_yes, is_no = answer.lower() in {"y", "yes"}, answer.lower() in {"n", "no", ""}
        reason = None if is_yes or is_no else answer
        try:
            await self._client.decide_tool_call(
                str(self._thread_id), str(self._run_id), call_id, approved=is_yes, reason=reason
            )
        except ServiceProblem as problem:
            # Another person was first, or its time is over: the run tells how it goes on.
            self._transcript.note(harmless(problem.detail), "yellow")


def _path(name: str) -> Path:
    """A file as people name it, with `~` for their home."""
    return Path(name).expanduser()


def _prepare_editing() -> None:
    """Let lines be edited and repeated. They are kept in memory alone: conversations are private."""
    if is_terminal(sys.stdin) and is_terminal(sys.stdout):
        import readline  # noqa: F401  # `input` uses it


def _read_line(prompt: str) -> str | None:
    """A line that a person types; None at the end of the input. Raises `KeyboardInterrupt`."""
    if is_terminal(sys.stdout):
        try:
            return input(prompt)
        except EOFError:
            print()
            return None
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None

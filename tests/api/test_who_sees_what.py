"""Who sees what, after any order of sharing, taking away and deleting: the service against a model of a few lines."""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.api.service import open_service, settings_for

USERS = ("alice", "bob", "carol")
EVERYBODY = "*"
RANKS = ("user", "viewer", "editor", "owner")
SECRET = "the words of the system prompt"
# With `make fuzz` 10,000 steps, else a sample of them.
STEPS = settings(max_examples=100, stateful_step_count=100, deadline=None)
SAMPLE = settings(max_examples=3, stateful_step_count=40, deadline=None)
users = st.sampled_from(USERS)
picks = st.integers(0, 10**6)


@dataclass
class Thing:
    """An agent, or a thread with its agent and the files in it; and the roles of users."""

    kind: str
    id: str
    roles: dict[str, str]
    agent: "Thing | None" = None
    files: set[str] = field(default_factory=set)
    deleted: bool = False

    @property
    def path(self) -> str:
        return f"/{self.kind}s/{self.id}"

    def rank(self, user: str) -> int:
        """The user's place in `RANKS`; -1 for one who does not see it."""
        ranks = [RANKS.index(role) for name, role in self.roles.items() if name in {user, EVERYBODY}]
        return -1 if self.deleted else max(ranks, default=-1)

    def is_last_owner(self, user: str) -> bool:
        return [name for name, role in self.roles.items() if role == "owner"] == [user]


def status(rank: int, needed: str, success: int) -> int:
    """What a user of this rank gets for something that needs a role."""
    if rank < 0:
        return 404
    return success if rank >= RANKS.index(needed) else 403


class WhoSeesWhat(RuleBasedStateMachine):
    """Users act on the service and on the model alike; after each step each user sees in one what the other says."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[Thing] = []
        self.uploaders: dict[str, str] = {}
        self.steps = 0
        self.stack = AsyncExitStack()
        self.runner = asyncio.Runner()
        self.runner.run(self.open())

    async def open(self) -> None:
        directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        opened = await self.stack.enter_async_context(
            open_service(
                settings_for("sqlite://", directory, max_requests_per_minute=1_000_000, users_share_with_all=True)
            )
        )
        self.clients: dict[str, httpx.AsyncClient] = {name: await opened.user(name) for name in USERS}

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def ask(self, user: str, method: str, path: str, expected: int, **sent: Any) -> Any:
        response = self.runner.run(self.clients[user].request(method, path, **sent))
        assert response.status_code == expected, f"{user} {method} {path}: {response.status_code}, not {expected}"
        return response.json() if response.content else None

    def pick(self, number: int, kind: str | None = None) -> Thing:
        """One of the things that exist or existed."""
        things = [each for each in self.things if kind in {None, each.kind}]
        return things[number % len(things)]

    def has(self, kind: str) -> bool:
        return any(each.kind == kind for each in self.things)

    @rule(user=users)
    def make_an_agent(self, user: str) -> None:
        made = self.ask(user, "POST", "/agents", 201, json={"name": "a", "provider": "echo", "system_prompt": SECRET})
        self.things.append(Thing("agent", made["id"], {user: "owner"}))

    @precondition(lambda self: self.has("agent"))
    @rule(user=users, number=picks)
    def start_a_thread(self, user: str, number: int) -> None:
        agent = self.pick(number, "agent")
        expected = status(agent.rank(user), "user", 201)
        made = self.ask(user, "POST", "/threads", expected, json={"agent_id": agent.id})
        if expected == 201:
            self.things.append(Thing("thread", made["id"], {user: "owner"}, agent))

    @rule(user=users)
    def upload_a_file(self, user: str) -> None:
        made = self.ask(user, "POST", "/files", 201, files={"file": ("note.txt", b"A note.", "text/plain")})
        self.uploaders[made["id"]] = user

    @precondition(lambda self: self.has("thread") and self.uploaders)
    @rule(user=users, number=picks, file_number=picks)
    def send_a_file(self, user: str, number: int, file_number: int) -> None:
        thread = self.pick(number, "thread")
        file_id = sorted(self.uploaders)[file_number % len(self.uploaders)]
        assert thread.agent is not None
        expected = status(thread.rank(user), "viewer", 201)
        if expected == 201 and not self.sees_file(user, file_id):
            expected = 422
        elif expected == 201 and thread.agent.deleted:
            expected = 403 if thread.rank(user) < RANKS.index("editor") else 409
        elif expected == 201 and (thread.rank(user) < RANKS.index("editor") or thread.agent.rank(user) < 0):
            expected = 403
        sent = {"content": "Read this.", "attachments": [file_id]}
        self.ask(user, "POST", f"{thread.path}/messages", expected, json=sent)
        if expected == 201:
            thread.files.add(file_id)

    @precondition(lambda self: self.things)
    @rule(user=users, number=picks, other=st.sampled_from((*USERS, EVERYBODY)), role=st.sampled_from(RANKS))
    def share(self, user: str, number: int, other: str, role: str) -> None:
        thing = self.pick(number)
        expected = status(thing.rank(user), "owner", 201)
        if expected != 404 and (
            (other == EVERYBODY and role == "owner") or (thing.kind == "thread" and role == "user")
        ):
            expected = 422
        elif expected == 201 and thing.is_last_owner(other) and role != "owner":
            expected = 409
        body = {"user_id": other, "role": role, "resource_type": thing.kind, "resource_id": thing.id}
        self.ask(user, "POST", "/roles", expected, json=body)
        if expected == 201:
            thing.roles[other] = role

    @precondition(lambda self: self.things)
    @rule(user=users, number=picks, other=st.sampled_from((*USERS, EVERYBODY)))
    def take_away(self, user: str, number: int, other: str) -> None:
        thing = self.pick(number)
        query = {"resource_type": thing.kind, "resource_id": thing.id}
        listed = self.ask(user, "GET", "/roles", status(thing.rank(user), "owner", 200), params=query)
        for role in listed.get("data", ()):
            if role["user_id"] == other:
                last = thing.is_last_owner(other)
                self.ask(user, "DELETE", f"/roles/{role['id']}", 409 if last else 204)
                if not last:
                    del thing.roles[other]

    @precondition(lambda self: self.things)
    @rule(user=users, number=picks)
    def delete(self, user: str, number: int) -> None:
        thing = self.pick(number)
        expected = status(thing.rank(user), "owner", 204)
        self.ask(user, "DELETE", thing.path, expected)
        thing.deleted = thing.deleted or expected == 204

    def sees_file(self, user: str, file_id: str) -> bool:
        in_threads = any(file_id in each.files and each.rank(user) >= 0 for each in self.things)
        return self.uploaders[file_id] == user or in_threads

    @invariant()
    def each_user_sees_what_the_model_says(self) -> None:
        self.steps += 1
        user = USERS[self.steps % len(USERS)]
        for kind in ("agent", "thread"):
            seen = [each["id"] for each in self.ask(user, "GET", f"/{kind}s?shared=true&limit=100", 200)["data"]]
            assert sorted(seen) == sorted(each.id for each in self.things if each.kind == kind and each.rank(user) >= 0)
        for thing in self.things:
            found = self.ask(user, "GET", thing.path, 404 if thing.rank(user) < 0 else 200)
            assert (SECRET in str(found)) == (thing.kind == "agent" and thing.rank(user) > 0)
        for file_id in self.uploaders:
            self.ask(user, "GET", f"/files/{file_id}", 200 if self.sees_file(user, file_id) else 404)


@pytest.mark.hypothesis
def test_each_user_sees_what_a_model_of_a_few_lines_says() -> None:
    run_state_machine_as_test(WhoSeesWhat, settings=STEPS if os.environ.get("FUZZ") == "1" else SAMPLE)

"""Requests of any kind, made by schemathesis from openapi.yaml, and the ids that lead them to things that exist."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from app.uploads import MEDIA_TYPE as MULTIPART
from tests.api.declared import document

Case: TypeAlias = schemathesis.Case[Any]
# What an answer to one of these tells of: the names of its ids in paths and bodies.
MADE_BY = {
    "/agents": {"agent_id": "id"},
    "/threads": {"thread_id": "id", "agent_id": "agent_id"},
    "/threads/{thread_id}/fork": {"thread_id": "id", "agent_id": "agent_id"},
    "/threads/{thread_id}/messages": {"thread_id": "thread_id", "run_id": "run_id", "message_id": "id"},
    "/files": {"file_id": "id"},
    "/keys": {"key_id": "id"},
    "/roles": {"role_id": "id"},
}
# Servers of tools and providers are looked up and asked: nothing but this machine may be.
NOWHERE = "http://127.0.0.1:9/v1"
USERS = ("alice", "bob", "*", "https://issuer.example/7")
# How often an id, a name or an address stands in the place of what was made up.
REAL = 0.8
# Things are deleted only while there are more of them.
KEPT = 3


def any_cases(count: int, *, number: int) -> list[Case]:
    """For each operation so many cases that fit openapi.yaml, and so many that do not: the same for a `number`."""
    schema = schemathesis.openapi.from_dict(document())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    cases = [
        case
        for operation in operations
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for case in _generated(operation, mode, count, number)
    ]
    random.Random(number).shuffle(cases)
    return cases


def _generated(operation: Any, mode: GenerationMode, count: int, number: int) -> Iterable[Case]:
    made: list[Case] = []
    # The first example of a strategy is the smallest that there is: always the same, and of little use.
    bounds = settings(
        max_examples=count + 1,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )

    @bounds
    @seed(number)
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Case) -> None:
        made.append(case)

    try:
        collect()
    except Unsatisfiable:  # nothing can be wrong with a request that takes nothing
        return []
    return made[-count:]


class Known:
    """What the answers so far have told of."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._told: defaultdict[str, list[dict[str, str]]] = defaultdict(list)

    def learn(self, case: Case, status: int, answer: Any) -> None:
        """Remember the ids of what was made."""
        names = MADE_BY.get(case.path, {}) if case.method == "POST" and status in (200, 201, 202) else {}
        if isinstance(answer, dict) and "id" in answer:
            told = {name: answer[key] for name, key in names.items() if isinstance(answer.get(key), str)}
            for name in told:
                self._told[name].append(told)

    def lead(self, case: Case) -> bool:
        """Put known ids and names in the case; whether it may be sent."""
        path = case.path_parameters
        wanted = [name for name in (*path, *_members(case.body)) if self._told[name]]
        told = self._random.choice(self._told[wanted[-1]][-20:]) if wanted else {}
        if case.method == "DELETE" and any(len(self._told[name]) <= KEPT for name in path if name in self._told):
            return False
        for name in path:
            if name in told and self._random.random() < REAL:
                path[name] = told[name]
        if "name" in path:
            path["name"] = self._random.choice(["echo", "calculator", "nothing"])
        if "user_id" in path:
            path["user_id"] = self._random.choice(["bob", "carol", "no%2Fbody"])
        self._lead_members(case, told)
        return True

    def _lead_members(self, case: Case, told: Mapping[str, str]) -> None:
        body: Any = case.body
        for name in _members(body):
            if self._random.random() > REAL:
                continue
            if name in told:
                body[name] = told[name]
            elif name == "user_id":
                body[name] = self._random.choice(USERS)
            elif name in ("provider", "model"):
                body[name] = "echo"
            elif name == "resource_id":
                kind = self._random.choice(["agent", "thread"])
                if known := self._told[f"{kind}_id"]:
                    body[name], body["resource_type"] = self._random.choice(known)[f"{kind}_id"], kind
        if "file" in _members(body):
            body["file"] = b"Hello"
        for name in ("url", "base_url"):
            if name in _members(body) and isinstance(body[name], str):
                body[name] = NOWHERE


def _members(body: Any) -> tuple[str, ...]:
    return tuple(body) if isinstance(body, dict) else ()


def prepared(case: Case, client: httpx.AsyncClient) -> httpx.Request | None:
    """The case as the client sends it, with the client's key; None for what no client can send."""
    headers = {name: str(value) for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
    sent: dict[str, Any] = {}
    if case.body is NOT_SET:
        pass
    elif isinstance(case.body, dict) and case.media_type == MULTIPART:
        sent["files"] = {str(name): ("a.txt", _bytes(value)) for name, value in case.body.items()}
    else:
        sent["content"] = _bytes(case.body if isinstance(case.body, bytes) else json.dumps(case.body))
        headers.setdefault("content-type", str(case.media_type))
    try:
        request = client.build_request(case.method, case.formatted_path, params=case.query, headers=headers, **sent)
        request.read()
        return request
    except (UnicodeError, httpx.InvalidURL, TypeError):
        return None


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")

"""What is measured. Each measure takes a target and gives its figures by name; units are in the names."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from typing import Any

from bench.client import Client, Unexpected, request
from bench.doors import doors
from bench.mcp_door import cpu_ms_of_call
from bench.search import search
from bench.target import Target, all_of
from bench.tools import GUARDRAILS, blocking_tools

Figures = dict[str, float]
Measure = Callable[[Target], Awaitable[Figures]]

_TURN = "words-50"
_WARM_UP = 100
# After this time a process has loaded what it loads beside its first requests.
_STARTED_S = 5.0
_IDLE_STREAMS = (500, 1000)
_LENGTHS = (10, 100, 1_000, 10_000, 100_000)
# The first stream has to be open when the last one begins.
_MANY, _MANY_PER_S, _MANY_WORDS = 3_000, 50, 120
_PACE, _PACED_WORDS, _PACED_STREAMS = 50, 500, 200


async def first_token(target: Target) -> Figures:
    """What the service adds to the time until the first token, one turn after the other on kept connections."""
    threads = await target.threads(_TURN, 20)
    service, provider = await Client.connect(target.service.port), await Client.connect(target.upstream.port)
    through, direct = [], []
    for number in range(_WARM_UP + 400):
        answer = await target.ask_directly(provider, target.direct(_TURN))
        turn = await target.turn(service, target.message(threads[number % len(threads)]))
        if number >= _WARM_UP:
            direct.append(answer.first_s)
            through.append(turn.first_s)
    service.close()
    provider.close()
    return {
        "first_token_direct_ms_p50": _p50(direct),
        "first_token_ms_p50": _p50(through),
        "first_token_ms_p95": _p95(through),
        "first_token_added_ms_p50": _p50(through) - _p50(direct),
        "first_token_added_ms_p95": _p95(through) - _p95(direct),
    }


async def turns(target: Target, *, model: str = _TURN, count: int = 2000, at_once: int = 16, **agent: Any) -> Figures:
    """Turns of 50 tokens, as many as the service manages: `at_once` clients, each with a thread of its own."""
    threads = await target.threads(model, at_once, **agent)
    clients = [await Client.connect(target.service.port) for _ in threads]
    left = 0

    async def run(client: Client, message: bytes) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await target.turn(client, message)

    async def run_all(number: int) -> None:
        nonlocal left
        left = number
        await all_of([run(client, target.message(thread)) for client, thread in zip(clients, threads, strict=True)])

    await run_all(_WARM_UP)
    cpu_s, waited_s, began = target.service.cpu_s(), target.service.waited_s(), time.perf_counter()
    database_cpu_s = target.databases.cpu_s()
    await run_all(count)
    took_s, cpu_s = time.perf_counter() - began, target.service.cpu_s() - cpu_s
    database_cpu_s = target.databases.cpu_s() - database_cpu_s
    waited_s = target.service.waited_s() - waited_s
    for client in clients:
        client.close()
    words = int(model.split("-")[1])
    return {
        "cpu_ms_per_turn": cpu_s / count * 1000,
        # PostgreSQL's own; SQLite works in the service.
        "database_cpu_ms_per_turn": database_cpu_s / count * 1000,
        "turns_per_s": count / took_s,
        "tokens_per_s": words * count / took_s,
        "cores_used": cpu_s / took_s,
        # What other work on the machine took of the service's core: with more than a little, times say nothing.
        "core_denied_percent": waited_s / took_s * 100,
    }


async def guarded_turns(target: Target) -> Figures:
    """The same, of an agent with guardrails for personal data, secrets and 50 patterns, in and out."""
    plain = await turns(target, count=1000)
    guarded = await turns(target, model="words-51", count=1000, guardrails=GUARDRAILS)
    return {
        "guarded_cpu_ms_per_turn": guarded["cpu_ms_per_turn"],
        "guarded_added_cpu_ms_per_turn": guarded["cpu_ms_per_turn"] - plain["cpu_ms_per_turn"],
    }


async def mcp_calls(target: Target) -> Figures:
    """The same through the door of MCP: an agent's tool is called, with progress, and our own stream beside it."""
    found: Figures = {}
    own = await turns(target, count=1000)
    for name, newest in (("older", False), ("newest", True)):
        spent_ms = await cpu_ms_of_call(target, _TURN, count=1000, at_once=16, newest=newest)
        found |= {f"mcp_{name}_cpu_ms_per_call": spent_ms, f"mcp_{name}_against_own": spent_ms / own["cpu_ms_per_turn"]}
    return found


async def long_answers(target: Target) -> Figures:
    """Answers of 2 000 tokens, as fast as the service passes them on."""
    found = await turns(target, model="words-2000", count=100, at_once=16)
    return {
        "long_answers_tokens_per_s": found["tokens_per_s"],
        "long_answers_cpu_us_per_token": found["cpu_ms_per_turn"] / 2000 * 1000,
    }


async def idle_streams(target: Target) -> Figures:
    """Memory per stream of a thread in which nothing happens, each of a thread of its own."""
    await turns(target, count=_WARM_UP)
    threads = await target.threads(_TURN, max(_IDLE_STREAMS))
    warm = await _open_streams(target, threads[:50])
    for client in warm:
        client.close()
    await asyncio.sleep(1)
    before = target.service.rss_bytes()
    opened: list[Client] = []
    found: Figures = {}
    for count in _IDLE_STREAMS:
        opened += await _open_streams(target, threads[len(opened) : count])
        await asyncio.sleep(1)
        found[f"kb_per_stream_of_{count}"] = (target.service.rss_bytes() - before) / count / 1000
    cpu_s = target.service.cpu_s()
    await asyncio.sleep(3)
    found["idle_streams_cpu_percent"] = (target.service.cpu_s() - cpu_s) / 3 * 100
    for client in opened:
        client.close()
    return found


async def base_memory(target: Target) -> Figures:
    """Memory of a process that has made its database and loaded its provider, and serves nothing yet."""
    await asyncio.sleep(_STARTED_S)
    return {"base_memory_mb": target.service.rss_bytes() / 1e6}


async def _open_streams(target: Target, threads: list[str]) -> list[Client]:
    clients = []
    for thread_id in threads:
        client = await Client.connect(target.service.port)
        asked = request("GET", f"/threads/{thread_id}/events", key=target.key, accept="text/event-stream")
        await client.open_stream(asked, until=b"retry: ")
        clients.append(client)
    return clients


async def paced(target: Target) -> Figures:
    """200 streams at 50 tokens a second each, and among them new connections that want their first token."""
    model = f"words-{_PACED_WORDS}-at-{_PACE}"
    probe = f"words-5-at-{_PACE}"
    threads = await target.threads(model, _PACED_STREAMS)
    probed = await target.threads(probe, 100)
    direct = median(await all_of([_ask_directly(target, model) for _ in threads]))
    provider = await Client.connect(target.upstream.port)
    direct_first = [(await target.ask_directly(provider, target.direct(probe))).first_s for _ in range(10)]
    provider.close()
    await turns(target, count=_WARM_UP)

    async def stream(thread_id: str) -> float:
        client = await Client.connect(target.service.port)
        answer = await target.turn(client, target.message(thread_id))
        client.close()
        return answer.total_s

    async def newcomer(thread_id: str, delay_s: float) -> float:
        await asyncio.sleep(delay_s)
        began = time.perf_counter()
        client = await Client.connect(target.service.port)
        answer = await target.turn(client, target.message(thread_id), began=began)
        client.close()
        return answer.first_s

    cpu_s, waited_s, began = target.service.cpu_s(), target.service.waited_s(), time.perf_counter()
    running = asyncio.ensure_future(all_of([stream(thread_id) for thread_id in threads]))
    # They come while all of the streams run: after the first have begun, before the first can have ended.
    span_s = _PACED_WORDS / _PACE - 2
    newcomers = await all_of(
        [newcomer(thread_id, 1.5 + span_s * number / len(probed)) for number, thread_id in enumerate(probed)]
    )
    took = await running
    took_s, cpu_s = time.perf_counter() - began, target.service.cpu_s() - cpu_s
    return {
        "paced_direct_s": direct,
        "paced_turn_s_p50": median(took),
        "paced_turn_s_max": max(took),
        "paced_turn_ratio_p50": median(took) / direct,
        "paced_turn_ratio_max": max(took) / direct,
        "paced_cores_used": cpu_s / took_s,
        # With what the turns themselves cost.
        "paced_cpu_us_per_token": cpu_s / (_PACED_STREAMS * _PACED_WORDS) * 1e6,
        "paced_core_denied_percent": (target.service.waited_s() - waited_s) / took_s * 100,
        "newcomer_direct_ms_p50": _p50(direct_first),
        "newcomer_first_token_ms_p50": _p50(newcomers),
        "newcomer_first_token_ms_p95": _p95(newcomers),
    }


async def many_streams(target: Target) -> Figures:
    """3 000 streams of one process that are all open at once, at a token a second each, begun at an even pace.

    The first token of the last thousand is held against that of the first thousand.
    """
    model = f"words-{_MANY_WORDS}-at-1"
    threads = await target.threads(model, _MANY)
    provider = await Client.connect(target.upstream.port)
    direct = (await target.ask_directly(provider, target.direct("words-1-at-1"))).first_s
    provider.close()
    await turns(target, count=_WARM_UP)
    idle_bytes, all_begun, still_open = target.service.rss_bytes(), asyncio.Event(), 0

    async def stream(number: int, thread_id: str) -> tuple[float, float]:
        nonlocal still_open
        await asyncio.sleep(number / _MANY_PER_S)
        began = time.perf_counter()
        client = await Client.connect(target.service.port)
        still_open += 1
        answer = await target.turn(client, target.message(thread_id), began=began)
        if not all_begun.is_set():
            raise Unexpected("a stream ended before the last one had begun")
        still_open -= 1
        client.close()
        return began, answer.first_s

    async def watch() -> tuple[float, float, float]:
        """Memory, use of the core, and what other work took of it, while all are open."""
        await asyncio.sleep(_MANY / _MANY_PER_S + 5)
        all_begun.set()
        assert still_open == _MANY
        cpu_s, waited_s, began = target.service.cpu_s(), target.service.waited_s(), time.perf_counter()
        await asyncio.sleep(10)
        took_s = time.perf_counter() - began
        used, denied = target.service.cpu_s() - cpu_s, target.service.waited_s() - waited_s
        return target.service.rss_bytes() - idle_bytes, used / took_s, denied / took_s * 100

    watching = asyncio.ensure_future(watch())
    found = await all_of([stream(number, thread_id) for number, thread_id in enumerate(threads)])
    memory, cores_used, denied = await watching
    first, last = [s for _, s in found[:1000]], [s for _, s in found[-1000:]]
    return {
        "many_first_token_direct_ms": direct * 1000,
        "many_first_token_of_first_1000_ms_p50": _p50(first),
        "many_first_token_of_first_1000_ms_p99": _p99(first),
        "many_first_token_of_last_1000_ms_p50": _p50(last),
        "many_first_token_of_last_1000_ms_p99": _p99(last),
        "many_cores_used": cores_used,
        "many_core_denied_percent": denied,
        "many_kb_per_stream": memory / _MANY / 1000,
    }


async def _ask_directly(target: Target, model: str) -> float:
    client = await Client.connect(target.upstream.port)
    answer = await target.ask_directly(client, target.direct(model))
    client.close()
    return answer.total_s


async def lengths(target: Target) -> Figures:
    """What a turn costs in threads of different lengths, one turn after the other, taken in rounds."""
    threads = {length: await target.long_thread(_TURN, length) for length in _LENGTHS}
    client = await Client.connect(target.service.port)
    cpu_s = dict.fromkeys(_LENGTHS, 0.0)
    took: dict[int, list[float]] = {length: [] for length in _LENGTHS}
    rounds, in_a_row = 8, 25
    for number in range(rounds + 1):
        for length, thread_id in threads.items():
            # The shortest has to stay short: each round is in a new one.
            used = thread_id if length > 10 else await target.long_thread(_TURN, length)
            before = target.service.cpu_s()
            for _ in range(in_a_row):
                turn = await target.turn(client, target.message(used))
                if number:
                    took[length].append(turn.total_s)
            cpu_s[length] += (target.service.cpu_s() - before) if number else 0
    client.close()
    found = {f"turn_ms_at_{length}": _p50(took[length]) for length in _LENGTHS}
    found |= {f"turn_cpu_ms_at_{length}": cpu_s[length] / rounds / in_a_row * 1000 for length in _LENGTHS}
    found["long_thread_ratio"] = _p50(took[_LENGTHS[-1]]) / _p50(took[_LENGTHS[0]])
    found["long_thread_cpu_ratio"] = cpu_s[_LENGTHS[-1]] / cpu_s[_LENGTHS[0]]
    return found


def _p50(seconds: list[float]) -> float:
    return median(seconds) * 1000


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[-1] * 1000


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1] * 1000


MEASURES: dict[str, Measure] = {
    "first": first_token,
    "turns": turns,
    "guarded": guarded_turns,
    "mcp": mcp_calls,
    "tools": blocking_tools,
    "doors": doors,
    "long": long_answers,
    "base": base_memory,
    "idle": idle_streams,
    "paced": paced,
    "many": many_streams,
    "lengths": lengths,
    "search": search,
}

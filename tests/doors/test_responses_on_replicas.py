"""Streams of responses on two processes: both send the same frames under the same numbers."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ai_agents.testing import ScriptedProvider
from tests.api.live import TIMEOUT_S, serve
from tests.api.service import make_agent, settings_for
from tests.doors.openresponses import read_frames
from tests.support.redis_server import RedisServer


async def test_a_stream_goes_on_at_the_other_process_while_the_text_comes(
    postgresql_url: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = settings_for(postgresql_url, tmp_path, redis_url=redis_server.url)
    pauses = [asyncio.Event() for _ in range(3)]
    pieces: list[Any] = []
    for number, pause in enumerate(pauses):
        pieces += [f"Chapter {number}: ", "once upon a time. ", pause]
    async with AsyncExitStack() as opened:
        lives = [await opened.enter_async_context(serve(settings)) for _ in range(2)]
        for live in lives:
            live.container.providers.add(ScriptedProvider([*pieces, "The end. 🎉"]))
        clients = [await live.user("alice") for live in lives]
        agent = await make_agent(clients[0], provider="scripted")
        body = {"model": agent["id"], "input": "Tell me.", "background": True}
        response_id = (await clients[0].post("/v1/responses", json=body)).json()["id"]

        seen: list[str] = []
        for turn in range(len(pauses) + 1):
            is_last = turn == len(pauses)
            query = {"stream": "true"} | ({"starting_after": str(len(seen) - 1)} if seen else {})
            path, deltas = f"/v1/responses/{response_id}", 0
            async with asyncio.timeout(TIMEOUT_S), clients[turn % 2].stream("GET", path, params=query) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data: {"):
                        seen.append(line)
                        deltas += "output_text.delta" in line
                    if deltas == 3 and not is_last:
                        break
            if not is_last:
                pauses[turn].set()
        replays = [await client.get(f"/v1/responses/{response_id}?stream=true") for client in clients]

    assert seen == [line for line in replays[0].text.split("\n") if line.startswith("data: {")]
    assert replays[0].text.replace(": ping\n\n", "") == replays[1].text.replace(": ping\n\n", "")
    frames = read_frames([replays[0].text])
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert frames[-1]["response"]["output"][0]["content"][0]["text"].endswith("The end. 🎉")

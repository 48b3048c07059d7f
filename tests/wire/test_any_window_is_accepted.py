"""Each provider accepts any prefix of any thread, under any memory strategy and for a model of any size."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.context.builder import build_request
from ai_agents.core.types import StoredSummary, ToolDefinition
from ai_agents.memory.registry import strategy_from_config
from tests.fakes.rules import SERVERS, Server
from tests.support.agents import agent_with
from tests.support.examples import examples
from tests.unit.memory.histories import ListHistory, threads
from tests.wire.requests import CALCULATOR, check_sent, provider_of
from tests.wire.test_a_thread_through_all_providers import MODELS

COUNTS = st.integers(1, 12)
STRATEGIES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda n, step: {"strategy": "last_n", "n": n, "step": step}, COUNTS, COUNTS),
    st.builds(
        lambda first, last, step: {"strategy": "first_last", "first": first, "last": last, "step": step},
        st.integers(0, 6),
        COUNTS,
        COUNTS,
    ),
    st.builds(lambda recent: {"strategy": "summarize", "recent": recent}, COUNTS),
    st.builds(lambda tokens: {"strategy": "token_window", "max_tokens": tokens}, st.integers(1, 300)),
)
TOOLS: st.SearchStrategy[tuple[ToolDefinition, ...]] = st.sampled_from([(), (CALCULATOR,)])


@given(st.data())
@examples(300)
def test_any_window_of_any_prefix_is_accepted(data: st.DataObject) -> None:
    messages = data.draw(threads(max_turns=6))
    config = data.draw(STRATEGIES)
    tools = data.draw(TOOLS)
    wire, model = data.draw(st.sampled_from([(wire, model) for wire, models in MODELS.items() for model in models]))
    server: Server | None = data.draw(st.sampled_from([None, *SERVERS]))
    if server is not None and wire != "ollama":
        wire, model = data.draw(st.sampled_from(["openai", "responses"])), "llama-3.1-8b"
    window_tokens = data.draw(st.sampled_from([40, 400, 100_000]))
    # A prefix without a user's message is never sent.
    first = next(index for index, message in enumerate(messages) if message.role == "user")
    prefix = messages[: data.draw(st.integers(first + 1, len(messages)))]
    covered = data.draw(st.sampled_from([None, *(message.seq for message in prefix)]))
    strategy = strategy_from_config(config)
    window = strategy.window(ListHistory(prefix, None if covered is None else StoredSummary("They talked.", covered)))

    built = build_request(
        agent=agent_with(system_prompt="Be brief."),
        window=window,
        provider=provider_of(wire),
        model=model,
        tools=tools,
        window_tokens=window_tokens,
        allow_overflow=True,
    )

    asked = built.request.messages[-1].role != "assistant"  # a request is an answer to a user or to a tool
    check_sent(wire, built.request, server=server if asked else None)

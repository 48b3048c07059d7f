"""A provider of one's own: agents name it, and their runs stream from it like from any other.

Run it: python examples/library/own_provider.py.
"""

import asyncio
from collections.abc import AsyncIterator

from ai_agents import (
    AgentRunner,
    AgentStore,
    ModelEvent,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    Provider,
    ProviderError,
    ResponseEnd,
    TextPart,
    ThreadStore,
    Usage,
    connect,
    register_provider,
)


class Loud(Provider):
    """Repeats the question in capitals. A real one would ask a server here."""

    name = "loud"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Per part a start, deltas and its end; then one end of the response."""
        question = "".join(part.text for part in request.messages[-1].parts if isinstance(part, TextPart))
        if not question.strip():
            raise ProviderError("There is nothing to repeat.", provider=self.name)
        words = [f"{word} " for word in question.upper().split()]
        yield PartStart(0, "text")
        for word in words:
            yield PartDelta(0, "text", word)
        yield PartEnd(0, TextPart("".join(words)))
        yield ResponseEnd("end", Usage(input_tokens=len(words), output_tokens=len(words)), request.model)


async def main() -> None:
    """Register it, so that any agent can name it, and talk."""
    register_provider(Loud.name, Loud)
    async with connect("sqlite://") as conn:
        runner = AgentRunner(conn)
        agent = await AgentStore(conn).create("parrot", provider="loud", model="any")
        thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
        answer = await runner.run(thread["id"], "ada", "Can you hear me?")
        print(answer["content"])


if __name__ == "__main__":
    asyncio.run(main())

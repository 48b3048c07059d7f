"""What a provider is: something that streams one model response as normalized events."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

from ai_agents.core.types import ModelEvent, ModelRequest, ModelResponse
from ai_agents.providers.assembly import fold
from ai_agents.providers.files import NO_FILES, FileRules


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model accepts; sending more is refused by some APIs, so that the provider leaves it out.

    `files` are those that it takes as they are: by default none.
    """

    sampling: bool = True
    reasoning: bool = True
    tools: bool = True
    # Whether it does what it is told in words; a stand-in does not.
    instructions: bool = True
    files: FileRules = NO_FILES


class Provider(ABC):
    """One provider with its connections. Cheap to ask for a model other than its default: `request.model` says which.

    `model` is the default model, None where none was named.
    """

    name: ClassVar[str]

    def __init__(self, *, model: str | None = None) -> None:
        self.model = model

    @abstractmethod
    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response as normalized events.

        Yields per part `PartStart`, any number of `PartDelta`, `PartEnd` (index from 0, ascending), then one
        `ResponseEnd`.
        Everything that one read from the network brought is yielded without suspending in between.
        Closing the iterator closes the upstream connection.
        Raises `ProviderError` and its kinds; `ProviderTruncated` where the stream ends without its terminal event.
        """

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """The whole response: the same stream, folded. Raises as `stream` does."""
        return await fold(self.stream(request))

    def capabilities(self, model: str) -> Capabilities:  # subclasses look at the model
        """What this model accepts."""
        return Capabilities()

    async def prepare(self) -> None:  # noqa: B027  # optional: not every provider has something to load
        """Import and build now what the first request would; a service calls it before the first one comes."""

    async def aclose(self) -> None:  # noqa: B027  # optional: a provider without connections has nothing to close
        """Close connections; the provider is not used after."""

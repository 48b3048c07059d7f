"""The protocol of a provider: it streams one model response as normalized events."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from ai_agents.core.notices import Notice
from ai_agents.core.types import ModelEvent, ModelRequest, ModelResponse
from ai_agents.providers.assembly import fold
from ai_agents.providers.event_order import in_order
from ai_agents.providers.files import NO_FILES, FileRules
from ai_agents.providers.listing import ListedModel


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can be used for.

    `instructions`: it does what it is told in words; a stand-in does not. `files`: which files it accepts as they are.
    `context_window` is in tokens, None where the provider does not tell.
    """

    instructions: bool = True
    files: FileRules = NO_FILES
    context_window: int | None = None


class Provider(ABC):
    """One provider with its connections. It serves all its models: `request.model` says which one is asked.

    `name` is what agents write in `provider`: the type's own name, or another one where there are several servers of a
    type. `model` is the default model, None where there is none.
    """

    name: str

    def __init__(self, *, model: str | None = None, name: str | None = None) -> None:
        self.model = model
        if name is not None:
            self.name = name

    def __repr__(self) -> str:
        model = getattr(self, "model", None)
        return f"<provider {getattr(self, 'name', type(self).__name__)}{f' {model}' if model else ''}>"

    @abstractmethod
    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one response as normalized events.

        Yields per part `PartStart`, any number of `PartDelta`, `PartEnd` (index from 0, ascending), then one
        `ResponseEnd`.
        The events of one read from the network are yielded without suspending in between.
        Closing the iterator closes the upstream connection.
        Raises `ProviderError`; `ProviderTruncated` where the stream ends without its terminal event.
        """

    def events(self, request: ModelRequest) -> AsyncGenerator[ModelEvent]:
        """The stream, held to what it promises. Raises `ProviderError` for events that break it, and as `stream` does.

        Callers read this one. Closing the iterator closes the stream.
        """
        return in_order(self.stream(request), self.name, request)

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """The whole response: the same events, folded. Raises as `events` does."""
        return await fold(self.events(request))

    def capabilities(self, model: str) -> Capabilities:
        """What this model can be used for; needs no key and no connection."""
        return Capabilities()

    def refusal_of(self, model: str) -> str | None:
        """Why this is certainly no model of the provider; None where its server has to say. Needs no connection."""
        return None

    def left_out(self, request: ModelRequest) -> Sequence[Notice]:
        """What the agent asks for and the request for this model leaves out; needs no connection."""
        return ()

    async def prepare_model(self, model: str) -> None:  # noqa: B027  # optional: most providers know their models
        """Ask the server what this model takes, where it can tell. It is asked once, and never raises."""

    async def prepare(self) -> None:  # noqa: B027  # optional: some providers have nothing to load
        """Import and build now what the first request needs, so that it need not wait for that."""

    async def list_models(self) -> Sequence[ListedModel]:
        """The models that the server lists, in its order; the default model alone where there is no server to ask.

        Raises `ProviderError`.
        """
        return [] if self.model is None else [ListedModel(self.model)]

    async def retire(self) -> None:
        """Close all connections once the open streams have ended. Called when the provider was changed or deleted."""
        await self.aclose()

    async def aclose(self) -> None:  # noqa: B027  # optional: some providers have no connections
        """Close all connections. The provider cannot be used afterwards."""

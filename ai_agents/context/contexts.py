"""The parts that make requests for models, put together once per runner."""

from dataclasses import dataclass

from ai_agents.attachments.storage import BlobStore
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.guards import AgentGuards
from ai_agents.context.models import AgentCache, ModelSelector
from ai_agents.context.requests import RequestBuilder
from ai_agents.context.side_calls import SideCalls
from ai_agents.context.tokens import SavedTokenEstimator
from ai_agents.memory.base import MemoryStrategy
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.store.database import Database
from ai_agents.tools.toolset import ToolSource


@dataclass(frozen=True, slots=True)
class Contexts:
    """Agents, their models, their requests and their guardrails. Runs, `/context` and background jobs share them."""

    agents: AgentCache
    models: ModelSelector
    tokens: SavedTokenEstimator
    requests: RequestBuilder
    guards: AgentGuards
    side_calls: SideCalls

    async def refresh(self) -> None:
        """Load the list of models and what is known of their tokens, once; save what was learned since."""
        await self.models.catalogue.load()
        await self.tokens.synchronize()


def build_contexts(
    database: Database,
    *,
    tools: ToolSource,
    provider: Provider | None = None,
    memory: MemoryStrategy | None = None,
    providers: ProviderPool | None = None,
    models: ModelCatalogue | None = None,
    blobs: BlobStore | None = None,
    judges_fail_open: bool = False,
) -> Contexts:
    """The parts for one runner; see `AgentRunner` for the arguments."""
    selector = ModelSelector(provider, providers, models or ModelCatalogue())
    tokens = SavedTokenEstimator(database)
    side_calls = SideCalls(database, selector, tokens)
    return Contexts(
        agents=AgentCache(),
        models=selector,
        tokens=tokens,
        requests=RequestBuilder(selector, tokens, tools=tools, memory=memory, blobs=blobs),
        guards=AgentGuards(side_calls, judges_fail_open=judges_fail_open),
        side_calls=side_calls,
    )

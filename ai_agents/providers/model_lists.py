"""The models that the servers of a pool list, each list kept for ten minutes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from ai_agents.core.ids import utc_now
from ai_agents.providers.base import Provider
from ai_agents.providers.listing import ListedModel
from ai_agents.providers.registry import ProviderPool

KEPT_S = 600.0


@dataclass(frozen=True, slots=True)
class ModelList:
    """What a server listed, and when."""

    models: Sequence[ListedModel]
    listed_at: str


class ModelLists:
    """Asks servers for their models. A list belongs to one instance of a provider: a changed one is asked anew."""

    def __init__(self, pool: ProviderPool, clock: Callable[[], float] = monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._kept: dict[str, tuple[Provider, float, ModelList]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, name: str) -> ModelList:
        """The models of a provider. Raises `ProviderError`; a failure is not kept."""
        provider = self._pool.get(name)
        # Requests that come together wait for one answer.
        async with self._asking.setdefault(name, asyncio.Lock()):
            kept = self._kept.get(name)
            if kept is not None and kept[0] is provider and self._clock() < kept[1] + KEPT_S:
                return kept[2]
            found = ModelList(await provider.list_models(), utc_now())
            self._kept[name] = provider, self._clock(), found
            return found

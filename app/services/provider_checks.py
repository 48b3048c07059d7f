"""Whether a provider works: one smallest request, over a connection of its own and tried once."""

from time import monotonic

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import JsonObject, ModelMessage, ModelRequest, ModelSettings, TextPart
from ai_agents.providers.assembly import closeable
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool

# Models that think before they speak need some. The stream is closed at its first piece, which ends the answer.
_CHECK_TOKENS = 1024


async def ask_smallest(pool: ProviderPool, name: str, model: str | None, *, timeout_s: float) -> JsonObject:
    """What one smallest request leads to: `ok, status, latency_ms, model, reason`.

    Without a model, it asks the first one that the server lists. `timeout_s` is how long the first piece may take.
    """
    begun = monotonic()
    try:
        instance, is_own = pool.build_for_check(name)
        try:
            # Loading a library is no part of the server's time.
            await instance.prepare()
            if model is None:
                model = next((listed.id for listed in await instance.list_models()), None)
            begun = monotonic()
            await _ask(instance, model or "", timeout_s)
        finally:
            if is_own:
                await instance.aclose()
    except ProviderError as error:
        said = error.upstream
        status, reason = (said["status"], said["message"] or str(error)) if said else (None, str(error))
        return _checked(begun, model=model, status=status, reason=reason)
    return _checked(begun, model=model, status=200, reason=None)


async def _ask(provider: Provider, model: str, timeout_s: float) -> None:
    """Wait for the first piece of an answer. Raises `ProviderError`."""
    request = ModelRequest(
        model=model,
        messages=(ModelMessage("user", (TextPart("Say OK."),)),),
        settings=ModelSettings(max_tokens=_CHECK_TOKENS, timeout_s=timeout_s),
        start_within_s=timeout_s,
    )
    events = closeable(provider.stream(request))
    try:
        await anext(events, None)
    finally:
        await events.aclose()


def _checked(begun: float, *, model: str | None, status: int | None, reason: str | None) -> JsonObject:
    latency_ms = round((monotonic() - begun) * 1000)
    return {"ok": reason is None, "status": status, "latency_ms": latency_ms, "model": model, "reason": reason}

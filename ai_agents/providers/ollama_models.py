"""What the models of an Ollama server take: as the server tells when it is asked, otherwise as their names tell.

Sources: https://docs.ollama.com/capabilities/vision, read 2026-11-22; https://docs.ollama.com/api-reference/show-model-details
and https://docs.ollama.com/context-length, read 2026-11-30.
"""

import asyncio
import logging
import re
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ReasoningEffort
from ai_agents.providers.files import NO_FILES, FileRules, with_quirks
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.reading import as_count, as_list, as_object, as_text
from ai_agents.providers.transport import ProviderTransport

_log = logging.getLogger(__name__)
# The models that Ollama's library lists as able to see (https://ollama.com/search?c=vision).
_WITH_IMAGES = re.compile(
    r"llava|moondream|minicpm-v|vision|qwen[0-9.]*-?vl|gemma3(?!n|:(270m|1b))|gemma[4-9]|llama4|mistral-small3\.[1-9]"
    r"|ministral-3|mistral-large-3|pixtral|internvl|-ocr|glm-[0-9.]+v|qwen3\.5|kimi-k2\.5",
    re.IGNORECASE,
)
_IMAGES = FileRules(frozenset({"image/png", "image/jpeg", "image/webp"}))
_CLOUD_MODEL = re.compile(r"[:-]cloud$")
_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,9})$", re.MULTILINE)
# A model changes when it is pulled again. A server that could not be asked may be there a minute later.
_KEPT_S = 3600.0
_KEPT_AFTER_FAILURE_S = 60.0
_ASKING_S = 3.0
_MAX_MODELS = 1000
# A model that is larger than common hardware takes more context than fits into its memory.
MAX_LOCAL_CONTEXT = 32768


@dataclass(frozen=True, slots=True)
class OllamaFacts:
    """What a server tells of a model. None, and no values, where it does not tell.

    `thinking_values` are what `think` can be: true and false, or levels. `context_length` is what the model was made
    for, in tokens, `num_ctx` what its own file asks for. `in_cloud`: it runs on Ollama's servers, with all its context.
    """

    tools: bool | None = None
    images: bool | None = None
    thinking: bool | None = None
    thinking_values: tuple[bool | str, ...] = ()
    context_length: int | None = None
    num_ctx: int | None = None
    in_cloud: bool = False

    def quirks(self) -> Quirks:
        """The same as quirks, which those of an admin overrule."""
        return Quirks(tools=self.tools, images=self.images, reasoning=self.thinking)


_UNKNOWN = OllamaFacts()


@dataclass(frozen=True, slots=True)
class OllamaEndpoint(Endpoint):
    """An Ollama server, with what it tells of the model that is asked."""

    facts: OllamaFacts = _UNKNOWN


def facts_from_wire(body: Any) -> OllamaFacts:
    """What the answer to `/api/show` tells."""
    shown = as_object(body)
    capabilities = {each for each in as_list(shown.get("capabilities")) if isinstance(each, str)}
    info = as_object(shown.get("model_info"))
    architecture = as_text(info.get("general.architecture"))
    own = _NUM_CTX.search(as_text(shown.get("parameters")))
    values = as_object(shown.get("thinking")).get("values")
    facts = OllamaFacts(
        thinking_values=tuple(each for each in values if isinstance(each, bool | str))
        if isinstance(values, list)
        else (),
        context_length=as_count(info.get(f"{architecture}.context_length")) or None,
        num_ctx=(as_count(own[1]) or None) if own else None,
        in_cloud=bool(as_text(shown.get("remote_host")) or as_text(shown.get("remote_model"))),
    )
    if not capabilities:
        # Servers before 0.6.4 tell of no capabilities; a projector is what makes a model see.
        return replace(facts, images=True if as_object(shown.get("projector_info")) else None)
    return replace(
        facts,
        tools="tools" in capabilities,
        images="vision" in capabilities,
        thinking="thinking" in capabilities or bool(facts.thinking_values),
    )


def ollama_files(model: str, quirks: Quirks) -> FileRules:
    """The files that this model accepts, as far as its name and the quirks tell."""
    rules = with_quirks(_IMAGES if _WITH_IMAGES.search(model) else NO_FILES, replace(quirks, documents=None))
    return _IMAGES if rules.media_types else NO_FILES


def most_context(endpoint: Endpoint) -> int | None:
    """The largest context in tokens that a request may ask for, as the admin or the server says; None if neither."""
    facts = endpoint.facts if isinstance(endpoint, OllamaEndpoint) else _UNKNOWN
    given = endpoint.quirks.context_window or facts.num_ctx
    if given is not None or facts.context_length is None:
        return given
    return facts.context_length if facts.in_cloud else min(facts.context_length, MAX_LOCAL_CONTEXT)


def think_value(model: str, effort: ReasoningEffort, facts: OllamaFacts) -> bool | str | None:
    """The value of `think` for an effort; None for no such field."""
    if effort == "none":
        return False if facts.thinking is not False and False in (facts.thinking_values or (False,)) else None
    if facts.thinking_values:
        return effort if effort in facts.thinking_values else True if True in facts.thinking_values else None
    # gpt-oss takes an effort; other models can be switched on and off.
    return effort if "gpt-oss" in model else True


class OllamaModels:
    """Asks a server about its models and remembers what it told. What it did not tell is unknown; nothing raises."""

    def __init__(self, *, in_cloud: bool = False) -> None:
        self._unknown = OllamaFacts(in_cloud=in_cloud)
        self._known: dict[str, tuple[OllamaFacts, float]] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self, model: str) -> OllamaFacts:
        """What is known of this model. What the server told last stays true until it tells anew."""
        facts, _ = self._known.get(model, (self._unknown, 0.0))
        return replace(facts, in_cloud=True) if _CLOUD_MODEL.search(model) else facts

    def is_fresh(self, model: str) -> bool:
        """Whether the server need not be asked now."""
        return monotonic() < self._known.get(model, (self._unknown, 0.0))[1]

    async def ask(self, transport: ProviderTransport, model: str) -> None:
        """Ask the server what this model takes, once for all that wait for it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._asking = loop, {}
        async with self._asking.setdefault(model, asyncio.Lock()):
            if not self.is_fresh(model):
                await self._ask(transport, model)

    async def _ask(self, transport: ProviderTransport, model: str) -> None:
        facts, kept_s = self.get(model), _KEPT_AFTER_FAILURE_S
        try:
            async with asyncio.timeout(_ASKING_S):
                told = await transport.post_json("/api/show", {"model": model}, timeout_s=_ASKING_S)
        except (ProviderError, TimeoutError) as error:
            _log.info("Ollama did not tell what a model takes", extra={"model": model, "cause": repr(error)})
        else:
            facts, kept_s = facts_from_wire(told), _KEPT_S
            facts = replace(facts, in_cloud=facts.in_cloud or self._unknown.in_cloud)
        if len(self._known) >= _MAX_MODELS:
            self._known.clear()
            self._asking.clear()
        self._known[model] = facts, monotonic() + kept_s

"""Providers: what admins make and change, and what is answered about them."""

from typing import Annotated, Literal

from pydantic import Field

from ai_agents.core.headers import MAX_HEADER, MAX_HEADERS
from ai_agents.providers.listing import MAX_LISTED
from ai_agents.providers.presets import PRESETS
from ai_agents.providers.quirks import FinishWord, MaxTokensField, SchemaSupport
from ai_agents.providers.specs import MADE_TYPES, MAX_MODEL, MAX_URL, NAME_PATTERN
from ai_agents.store.providers import MAX_PROVIDERS
from app.schemas.answers.models import Read
from app.schemas.common import DateTime, HeaderName, Strict

# Those of the database, and those of the file and the program.
_MAX_PROVIDERS = 2 * MAX_PROVIDERS
_MAX_LEARNED = 1000
_Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64, description="What agents write in `provider`.")]
_Type = Annotated[
    str, Field(max_length=16, json_schema_extra={"enum": list(MADE_TYPES)}, description="The API that the server has.")
]
_Preset = Annotated[
    str,
    Field(
        max_length=64,
        json_schema_extra={"enum": sorted(PRESETS)},
        description="A well-known server: brings its type, its address and its quirks.",
    ),
]
_BaseUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        description="http or https, without user, query and fragment. OpenAI-compatible ones end in `/v1`.",
        examples=["http://localhost:8000/v1"],
    ),
]
_ApiKey = Annotated[
    str,
    Field(min_length=1, max_length=MAX_HEADER, description="Encrypted at rest, and never shown again."),
]
_Headers = Annotated[
    dict[HeaderName, Annotated[str, Field(max_length=MAX_HEADER)]],
    Field(max_length=MAX_HEADERS, description="Sent with each request; encrypted at rest, and never shown again."),
]
_Model = Annotated[str, Field(min_length=1, max_length=MAX_MODEL)]


class ProviderQuirks(Strict):
    """What the server does differently from its type. What is left out is decided by what is known of the model."""

    finish_reasons: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], FinishWord],
        Field(max_length=50, description='What other finish reasons mean, such as `{"eos": "stop"}`.'),
    ] = {}
    stream_options: bool | None = Field(None, description="It takes `stream_options`.")
    max_tokens_field: MaxTokensField | None = Field(None, description="Its name for the longest answer.")
    sampling: bool | None = Field(None, description="It takes `temperature` and `top_p`.")
    stop: bool | None = Field(None, description="It takes stop sequences.")
    reasoning: bool | None = Field(None, description="It takes an effort of reasoning.")
    keeps_reasoning: bool | None = Field(
        None, description="It takes a model's own reasoning back; where true, it wants some with each tool call."
    )
    reasoning_summary: bool | None = Field(None, description="Responses: it gives summaries of reasoning.")
    encrypted_reasoning: bool | None = Field(None, description="Responses: it gives encrypted reasoning.")
    store: bool | None = Field(None, description="Responses: it takes `store`, with which we ask it to keep nothing.")
    strict: bool | None = Field(None, description="Responses: it takes `strict` in tools.")
    schema_support: SchemaSupport | None = Field(
        None,
        alias="schema",
        description="Whether it enforces output schemas; `instructed`: the model is asked in words.",
    )
    cache_control: bool | None = Field(None, description="It takes `cache_control`.")
    tools: bool | None = Field(None, description="Its models take tools.")
    images: bool | None = Field(None, description="Its models take images.")
    documents: bool | None = Field(None, description="Its models take PDFs.")
    parallel_calls: bool | None = Field(None, description="Its models take several tool calls in one message.")
    context_window: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        None, description="Tokens, question and answer together."
    )


class CreateProvider(Strict):
    """A provider. With a preset, a name and a key are enough."""

    name: _Name
    type: _Type | None = None
    preset: _Preset | None = None
    base_url: _BaseUrl | None = Field(None, description="Default: the preset's, or the type's public address.")
    api_key: _ApiKey | None = None
    headers: _Headers = {}
    default_model: _Model | None = Field(None, description="For agents that name no model.")
    quirks: ProviderQuirks = ProviderQuirks()


class UpdateProvider(Strict):
    """Changes of a provider. Null removes a field; headers and quirks are replaced whole."""

    base_url: _BaseUrl | None = None
    api_key: _ApiKey | None = None
    headers: _Headers | None = None
    default_model: _Model | None = None
    quirks: ProviderQuirks | None = None


class ProviderRead(Read):
    """A provider that agents may name. Only admins see the fields from `base_url` on."""

    name: str
    type: str = Field(description="The API that it has; `python` for one that the program brings itself.")
    configured: bool = Field(description="Whether it has what it needs, such as a key. Its server may be away still.")
    default: bool = Field(description="Whether agents that name no provider use this one.")
    default_model: str | None
    reason: str | None = Field(description="Why it cannot be used, with the name of the setting that is missing.")
    base_url: str | None = Field(None, description="Null for one that has no server.")
    source: Literal["environment", "file", "database", "program"] | None = Field(
        None, description="Where it comes from. Only those of the `database` can be changed and deleted."
    )
    preset: str | None = None
    quirks: ProviderQuirks | None = Field(None, description="The preset's and the given ones.")
    learned: Annotated[dict[str, ProviderQuirks], Field(max_length=_MAX_LEARNED)] | None = Field(
        None, description="What refusals taught about its models, by model."
    )
    version: int | None = Field(None, description="Counts the changes of one of the `database`.")
    created_at: DateTime | None = None


class ProviderPage(Read):
    """Providers, by name."""

    data: Annotated[list[ProviderRead], Field(max_length=_MAX_PROVIDERS)]
    next: None


class ProviderCheck(Read):
    """What one smallest request led to."""

    ok: bool
    status: int | None = Field(description="The server's HTTP status; null where it did not answer.")
    latency_ms: int = Field(description="To the first piece of the answer, or to the failure.")
    model: str | None = Field(description="The model that was asked; null where none is known.")
    reason: str | None = Field(description="Why it failed: what the server said. Null where it did not fail.")


class ModelRead(Read, title="Model"):
    """A model, as the server lists it."""

    id: str = Field(description="What agents write in `model`.")
    name: str | None = Field(description="A name for people, where the server has one.")
    context_window: int | None = Field(description="Tokens, question and answer together, where the server says it.")


class ModelPage(Read):
    """The models that the server lists, in its order. The list is kept for ten minutes."""

    data: Annotated[list[ModelRead], Field(max_length=MAX_LISTED)]
    next: None
    listed_at: DateTime

"""What the resources' models share: strictness, texts, metadata, content, lists and problems."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ValidationInfo,
    WithJsonSchema,
)

from ai_agents.core.types import FilePart, TextPart
from app.errors import MAX_ERRORS, MAX_LOC_PARTS
from app.settings import Settings

MAX_CONTENT: int = Settings.model_fields["max_content_characters"].default
MAX_PARTS = 1000
MAX_PAGE = 100


class Strict(BaseModel):
    """An object of a request: unknown fields are refused, and values are never converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Read(BaseModel):
    """An object of an answer. It describes answers in the OpenAPI document; answers are not made from it."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


def _limits(info: ValidationInfo) -> Settings:
    return info.context if isinstance(info.context, Settings) else Settings.model_construct()


def _check_metadata(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    limit = _limits(info).max_metadata_bytes
    if len(orjson.dumps(value)) > limit:
        raise ValueError(f"must not be larger than {limit} bytes as JSON")
    return value


def _check_text(value: str, info: ValidationInfo) -> str:
    limit = _limits(info).max_content_characters
    if len(value) > limit:
        raise ValueError(f"must not have more than {limit} characters")
    return value


def _check_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a line of text")
    return value


Metadata = Annotated[
    dict[str, Any], AfterValidator(_check_metadata), Field(description="Your own data; at most 16 KiB as JSON.")
]
LongText = Annotated[str, AfterValidator(_check_text), Field(json_schema_extra={"maxLength": MAX_CONTENT})]
# A name or a title: one line with at least one visible character.
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_line)]
UserId = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_line)]
Id = Annotated[str, Field(max_length=100, description="A UUIDv7, in lower case.")]
DateTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class TextPartIn(Strict):
    """Text."""

    type: Literal["text"]
    text: str


class FilePartIn(Strict):
    """A file that was uploaded before."""

    type: Literal["file"]
    file_id: Id


PartIn = Annotated[TextPartIn | FilePartIn, Discriminator("type")]


def _as_parts(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def _check_content(value: list[PartIn], info: ValidationInfo) -> list[PartIn]:
    texts = [part.text for part in value if isinstance(part, TextPartIn)]
    if len(texts) == len(value) and not any(text.strip() for text in texts):
        raise ValueError("must contain text, or a file")
    limit = _limits(info).max_content_characters
    if sum(map(len, texts)) > limit:
        raise ValueError(f"must not have more than {limit} characters")
    return value


ContentIn = Annotated[
    list[PartIn],
    Field(max_length=MAX_PARTS),
    BeforeValidator(_as_parts),
    AfterValidator(_check_content),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_CONTENT},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_PARTS,
                    "items": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/TextPartIn"},
                            {"$ref": "#/components/schemas/FilePartIn"},
                        ]
                    },
                },
            ]
        }
    ),
]


def to_parts(content: list[PartIn]) -> list[TextPart | FilePart]:
    """The content as the framework takes it. Of a file the framework needs only the id."""
    return [
        TextPart(part.text) if isinstance(part, TextPartIn) else FilePart(part.file_id, "", "", 0) for part in content
    ]


def from_parts(parts: Sequence[TextPart | FilePart]) -> list[PartIn]:
    """The inverse of `to_parts`."""
    return [
        TextPartIn(type="text", text=part.text)
        if isinstance(part, TextPart)
        else FilePartIn(type="file", file_id=part.file_id)
        for part in parts
    ]


EntryT = TypeVar("EntryT")


class ReadPage(Read, Generic[EntryT]):
    """One page of a list."""

    data: Annotated[list[EntryT], Field(max_length=MAX_PAGE)]
    next: str | None = Field(description="The cursor for `?after=` of the next page; null on the last one.")


class FieldError(Read):
    """One mistake in a request."""

    loc: Annotated[list[str | int], Field(max_length=MAX_LOC_PARTS)] = Field(
        description="Where: `body`, `query` or `header`, then the path to the field."
    )
    msg: str


class ProblemRead(Read):
    """What went wrong (RFC 9457). Some problems have further members, such as `run_id`."""

    model_config = ConfigDict(title="Problem", extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable word for what went wrong.")
    request_id: str
    errors: Annotated[list[FieldError], Field(max_length=MAX_ERRORS)] | None = Field(
        None, description="For `invalid_request`: what is wrong, without the value."
    )


class TokenUsage(Read):
    """Tokens. Null where the provider does not say; `estimated` is true where the service counted them itself."""

    model_config = ConfigDict(title="Usage")

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool | None = None


class Cost(Read):
    """What model calls cost. `estimated` is true where the service counted their tokens itself."""

    currency: Literal["USD"]
    amount: str = Field(description="Exact, as a decimal number.", examples=["0.00123"])
    estimated: bool | None = None

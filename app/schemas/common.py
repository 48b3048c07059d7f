"""What the models of requests share: strictness, texts, metadata and content."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

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

from ai_agents.core.headers import MAX_HEADER_NAME
from ai_agents.core.types import FilePart, TextPart
from ai_agents.tools.schema import MAX_SCHEMA_BYTES
from app.settings import Settings

MAX_CONTENT: int = Settings.model_fields["max_content_characters"].default
MAX_PARTS = 1000
MAX_ID = 100
_MAX_METADATA: int = Settings.model_fields["max_metadata_bytes"].default


class Strict(BaseModel):
    """An object of a request: unknown fields are refused, and values are never converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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


def _check_searched(value: str) -> str:
    # The replacement character stands for bytes of the address that are not UTF-8.
    if "\0" in value or "\N{REPLACEMENT CHARACTER}" in value:
        raise ValueError("must be text, in UTF-8 and without NUL characters")
    return value


Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_check_metadata),
    # A member with its name, its value and what parts it from the next one has more than four bytes.
    Field(
        description="Your own data; at most 16 KiB as JSON.", json_schema_extra={"maxProperties": _MAX_METADATA // 4}
    ),
]
LongText = Annotated[str, AfterValidator(_check_text), Field(json_schema_extra={"maxLength": MAX_CONTENT})]
# A name or a title: one line with at least one visible character.
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_line)]
UserId = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_line)]
# What is looked for.
Searched = Annotated[str, AfterValidator(_check_searched)]
Id = Annotated[str, Field(max_length=MAX_ID, description="A UUIDv7, in lower case.")]
# A JSON Schema, which `ai_agents/tools/schema.py` checks.
JsonSchema = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": MAX_SCHEMA_BYTES // 4})]
HeaderName = Annotated[str, Field(max_length=MAX_HEADER_NAME)]
DateTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class TextPartIn(Strict):
    """Text."""

    type: Literal["text"]
    text: Annotated[str, Field(json_schema_extra={"maxLength": MAX_CONTENT})]  # checked with all texts of the content


class FilePartIn(Strict):
    """A file that was uploaded before."""

    type: Literal["file"]
    file_id: Id


PartIn = Annotated[TextPartIn | FilePartIn, Discriminator("type")]


def _as_parts(value: Any) -> Any:
    if not isinstance(value, str | list):
        raise ValueError("should be a text, or a list of parts")  # noqa: TRY004  # pydantic tells of a ValueError
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

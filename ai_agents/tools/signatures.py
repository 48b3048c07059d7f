"""What a function's signature says to a model: a JSON Schema of its parameters, and their values made of JSON.

pydantic knows both; docstring_parser knows what the Google, NumPy and Sphinx styles say of parameters.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import docstring_parser
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import JsonObject
from ai_agents.tools.base import ToolContext, ToolError

_MAX_ERRORS = 3
# Keywords of a schema whose value maps names to schemas.
_NAMED = frozenset({"properties", "$defs", "patternProperties", "dependentSchemas"})
# Keywords whose value is no schema.
_PLAIN = frozenset({"default", "const", "enum", "examples", "required"})
_VARIADIC: Mapping[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class _Schema(GenerateJsonSchema):
    """A default that is no JSON is left out without a warning: the function has it."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # the base class says so


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function tells of itself, and how arguments of JSON become its values.

    `context` is the name of the parameter that gets the `ToolContext`, None where there is none.
    """

    description: str
    schema: JsonObject
    context: str | None
    _model: type[BaseModel]
    _names: Mapping[str, str]

    def values(self, arguments: JsonObject) -> dict[str, Any]:
        """The values of the parameters that were given. Raises `ToolError` for arguments that do not fit."""
        try:
            made = self._model.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(f"The arguments do not fit the tool: {_told(error)}.") from error
        return {self._names[field]: getattr(made, field) for field in self._names if field in made.model_fields_set}


def read_signature(function: Callable[..., Any], name: str, names: Mapping[str, Any]) -> Signature:
    """What the function tells of itself. `names` are those of the place where it is defined, for its annotations.

    Raises `InvalidRequest`, in a sentence with the `name` of the tool and the parameter, for what no model can give.
    """
    signature = inspect.signature(function)
    hints = _hints(function, name, names)
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    told = {each.arg_name.lstrip("*"): " ".join((each.description or "").split()) for each in parsed.params}
    context: str | None = None
    fields: dict[str, Any] = {}
    by_field: dict[str, str] = {}
    for parameter in signature.parameters.values():
        if hints.get(parameter.name) in {ToolContext, ToolContext | None}:
            context = parameter.name
            continue
        _check(parameter, name, hints)
        field = f"p{len(fields)}"  # a name of its own: pydantic keeps some for itself
        fields[field] = _field(parameter, hints[parameter.name], told.get(parameter.name))
        by_field[field] = parameter.name
    if context is not None and context != "context" and "context" in by_field.values():
        raise InvalidRequest(f"The tool {name} has a parameter context beside its ToolContext: rename it.")
    model = _model_of(name, fields, by_field)
    return Signature((parsed.description or "").strip(), _schema_of(model), context, model, by_field)


def _hints(function: Callable[..., Any], name: str, names: Mapping[str, Any]) -> dict[str, Any]:
    # An object that can be called has its annotations at its method.
    annotated = function if inspect.isroutine(function) else type(function).__call__
    try:
        return get_type_hints(annotated, localns={**names}, include_extras=True)
    except NameError as error:
        raise InvalidRequest(
            f"A type of the tool {name} is not known when the tool is made: {error}. Import it, not for checkers alone."
        ) from error


def _check(parameter: inspect.Parameter, name: str, hints: Mapping[str, Any]) -> None:
    """Raises `InvalidRequest` for a parameter that a model cannot give."""
    if (stars := _VARIADIC.get(parameter.kind)) is not None:
        raise InvalidRequest(
            f"The tool {name} takes {stars}{parameter.name}: a model gives arguments by name, so name each one."
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise InvalidRequest(
            f"The parameter {parameter.name} of the tool {name} cannot be given by name: drop the `/`."
        )
    if parameter.name not in hints:
        raise InvalidRequest(
            f"The parameter {parameter.name} of the tool {name} has no type: write one, as in `{parameter.name}: str`."
        )
    if isinstance(parameter.default, FieldInfo):
        raise InvalidRequest(
            f"The parameter {parameter.name} of the tool {name} has a Field as its default: put it into Annotated[…]."
        )


def _field(parameter: inspect.Parameter, hint: Any, told: str | None) -> tuple[Any, Any]:
    """The parameter as a field of a pydantic model. A text in `Annotated` describes it, else the docstring does."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    texts = [text for text in map(_description, extras) if text]
    description = texts[-1] if texts else told or None
    default = ... if parameter.default is parameter.empty else parameter.default
    field: Any = Field(default, alias=parameter.name, description=description)
    return _readable(hint), field


def _readable(hint: Any) -> Any:
    """The type with each `typing.TypedDict` as one that pydantic reads, too: before Python 3.12 it refuses them."""
    if is_typeddict(hint):
        # Without the marks `Required` and `NotRequired`, which are read from the keys.
        members = {key: _readable(each) for key, each in get_type_hints(hint, include_extras=True).items()}
        read = {key: NotRequired[each] if key in hint.__optional_keys__ else each for key, each in members.items()}
        make: Any = typing_extensions.TypedDict
        return make(hint.__name__, read)
    origin: Any = get_origin(hint)
    args = get_args(hint)
    if origin is Annotated:
        return Annotated[(_readable(args[0]), *args[1:])]
    if origin in {Union, UnionType}:
        return Union[tuple(map(_readable, args))]  # noqa: UP007  # of types that are only known here
    if origin in {Required, NotRequired}:
        return _readable(args[0])
    if args and origin not in {Literal, Callable}:
        return origin[tuple(map(_readable, args))]
    return hint


def _description(extra: Any) -> str | None:
    """The text of a plain string, of pydantic's `Field(description=…)`, or of `Doc(…)`."""
    if isinstance(extra, str):
        return extra
    found = getattr(extra, "description", None) or getattr(extra, "documentation", None)
    return found if isinstance(found, str) else None


def _model_of(name: str, fields: Mapping[str, Any], by_field: Mapping[str, str]) -> type[BaseModel]:
    config = ConfigDict(extra="forbid", protected_namespaces=())
    try:
        model: type[BaseModel] = create_model("arguments", __config__=config, **fields)
        model.model_json_schema(schema_generator=_Schema)
    except (PydanticUserError, TypeError) as error:
        for field, (hint, _) in fields.items():
            if (reason := _fault_of(hint)) is not None:
                subject = f"The parameter {by_field[field]} of the tool {name}"
                raise InvalidRequest(f"{subject} has a type that JSON cannot hold: {_shown(hint)}. {reason}") from error
        raise InvalidRequest(f"No schema can be made of the parameters of the tool {name}: {error}") from error
    return model


def _fault_of(hint: Any) -> str | None:
    """Why there is no schema of a type, in pydantic's words; None if there is one."""
    try:
        TypeAdapter(hint).json_schema(schema_generator=_Schema)
    except (PydanticUserError, TypeError) as error:
        return str(error).partition("\n")[0]
    return None


def _shown(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) else str(hint)


def _schema_of(model: type[BaseModel]) -> JsonObject:
    schema: JsonObject = _without_titles(model.model_json_schema(schema_generator=_Schema))
    # Also of a tool without parameters.
    return {"type": "object", "properties": {}, **schema}


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of names: they tell a model nothing more."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept: JsonObject = {}
    for keyword, value in schema.items():
        if keyword in _NAMED and isinstance(value, dict):
            kept[keyword] = {name: _without_titles(inner) for name, inner in value.items()}
        elif keyword in _PLAIN:
            kept[keyword] = value
        elif keyword != "title":
            kept[keyword] = _without_titles(value)
    return kept


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_ERRORS]
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)

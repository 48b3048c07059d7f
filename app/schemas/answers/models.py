"""How the models of answers are made of the rows that stores return. No answer is made from these models.

A row inside of another is shown by its own model: one that the same file has made before, or one that is given.
"""

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.schemas.common import DateTime, Id

_MAX_PAGE = 100
# Keys that end like ids, and whose values are no ids of this service.
_NO_IDS = {"user_id", "tool_call_id"}
# The models of rows, by the rows, or unions of them, that they stand for inside other rows.
MODELS: dict[Any, Any] = {}


class Read(BaseModel):
    """An object of an answer. It has the members that are described and no others."""

    model_config = ConfigDict(extra="forbid")


def model_of(name: str, row: Any, doc: str = "", /, **more: Any) -> type[Read]:
    """The model of a row. `more` has descriptions of its keys, and types of keys that are free in the row."""
    fields: dict[str, Any] = {}
    for key, hint in get_type_hints(row).items():
        given = more.get(key)
        default = None if key in row.__optional_keys__ else ...
        is_id = key == "id" or (key.endswith("_id") and key not in _NO_IDS)
        if given is not None and not isinstance(given, str):
            fields[key] = (given, default)
        else:
            shown = _shown(hint, Id if is_id else DateTime if key.endswith("_at") else str)
            described = default if given is None else Field(default, description=given)
            fields[key] = (shown if default is ... else shown | None, described)
    model: type[Read] = create_model(name, __base__=Read, __doc__=doc or row.__doc__, **fields)
    MODELS[row] = model
    return model


def _shown(hint: Any, text: Any) -> Any:
    """The type with models in place of rows, and `text` in place of `str`."""
    if hint in MODELS:
        return MODELS[hint]
    if hint is str:
        return text
    if is_typeddict(hint):
        raise TypeError(f"{hint.__name__} has no model yet, and is inside of another row")
    arguments = tuple(_shown(each, text) for each in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return Union[arguments]  # noqa: UP007  # `|` takes no tuple
    return list[arguments] if get_origin(hint) is list else hint  # type: ignore[valid-type]  # made at run time


def page_of(name: str, entry: Any, doc: str, *, most: int | None = _MAX_PAGE) -> type[Read]:
    """The model of a page of a list."""
    following = Field(description="The cursor for `?after=` of the next page; null on the last one.")
    data = (list[entry], Field(max_length=most))
    return create_model(name, __base__=Read, __doc__=doc, data=data, next=(str | None, following))

"""Several JSON Schemas as one. What fits all of them, or one of them, fits the result, which may allow more. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from ai_agents.core.json import dumps
from ai_agents.core.types import JsonObject

MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
# They look at what other keywords of the same schema have seen.
UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$comment", "$id", "$schema", "$defs", "definitions"}
)
# Keywords that mean something only together.
_GROUPS = (("if", "then", "else"), ("items", "prefixItems"), ("contains", "minContains", "maxContains"))


def types_of(schema: Any) -> list[Any]:
    """The types that a schema names; none where it names none."""
    found = schema.get("type") if isinstance(schema, dict) else None
    return found if isinstance(found, list) else [] if found is None else [found]


def is_open(schema: Any) -> bool:
    """Whether the schema allows any value."""
    return schema is True or (isinstance(schema, dict) and not schema.keys() - ANNOTATIONS)


def both(first: JsonObject, second: JsonObject) -> JsonObject:
    """A schema for what fits both. Where one schema cannot say both, it says the first."""
    merged = {word: value for word, value in first.items() if word not in UNEVALUATED}
    taken = {word for group in _GROUPS if merged.keys() & set(group) for word in group}
    for word, value in second.items():
        if word in UNEVALUATED or word in taken:
            continue
        if word not in merged or (word == "additionalProperties" and value is False):
            merged[word] = value
        elif word in {"$defs", "definitions"}:
            merged[word] = value | merged[word]
        elif word in MAPS_OF_SCHEMAS:
            merged[word] = _both_maps(merged[word], value)
        elif word == "required":
            merged[word] = list(dict.fromkeys([*merged[word], *value]))
        elif word == "type":
            merged[word] = _common_types(merged[word], value)
        elif word == "allOf":
            merged[word] = [*merged[word], *value]
    return merged


def either(branches: Sequence[JsonObject]) -> JsonObject:
    """A schema for the objects that fit at least one of these schemas of objects."""
    if len(branches) == 1:
        return branches[0]
    names = dict.fromkeys(name for branch in branches for name in branch.get("properties", ()))
    members = {name: any_of(_member(branch, name) for branch in branches) for name in names}
    merged: JsonObject = {"type": "object", "properties": members}
    required = [name for name in names if all(name in branch.get("required", ()) for branch in branches)]
    if required:
        merged["required"] = required
    if all(branch.get("additionalProperties") is False for branch in branches):
        patterns = [pattern for branch in branches for pattern in branch.get("patternProperties", ())]
        if patterns:
            merged["patternProperties"] = {pattern: {} for pattern in patterns}
        merged["additionalProperties"] = False
    return merged


def any_of(schemas: Iterable[Any]) -> JsonObject:
    """A schema for what fits at least one of these. False among them fits nothing."""
    distinct: dict[str, JsonObject] = {
        dumps(each): {} if each is True else each for each in schemas if each is not False
    }
    found = list(distinct.values())
    if len(found) == 1:
        return found[0]
    if not found or any(map(is_open, found)):
        return next(({"description": each["description"]} for each in found if "description" in each), {})
    if (choices := _choices(found)) is not None:
        return choices
    return {"anyOf": found}


def _member(branch: JsonObject, name: str) -> Any:
    """The schema that a branch has for a property of this name; False where it has no such property."""
    properties = branch.get("properties", {})
    if name in properties:
        return properties[name]
    return True if "patternProperties" in branch else branch.get("additionalProperties", True)


def _choices(schemas: list[JsonObject]) -> JsonObject | None:
    """The values of all these schemas as one list; None where one of them has more than a list of values."""
    values: dict[str, Any] = {}
    for schema in schemas:
        if schema.keys() - ANNOTATIONS - {"type"} not in ({"const"}, {"enum"}):
            return None
        values |= {dumps(each): each for each in schema.get("enum", [schema.get("const")])}
    kinds = [schema.get("type") for schema in schemas]
    kind = {"type": kinds[0]} if kinds[0] is not None and all(each == kinds[0] for each in kinds) else {}
    return kind | {"enum": list(values.values())}


def _both_maps(first: JsonObject, second: JsonObject) -> JsonObject:
    merged = dict(first)
    for name, schema in second.items():
        merged[name] = both(merged[name], schema) if name in merged else schema
    return merged


def _common_types(first: Any, second: Any) -> Any:
    one, other = types_of({"type": first}), types_of({"type": second})
    common = [each for each in one if each in other or (each == "integer" and "number" in other)]
    common += [each for each in other if each == "integer" and "number" in one and each not in one]
    return first if not common else common[0] if len(common) == 1 else common

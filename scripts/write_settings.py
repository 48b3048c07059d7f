"""Write docs/settings.md: every setting as the code has it. `make openapi` does so; a test compares."""

from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic.fields import FieldInfo

from ai_agents.core.wording import counted
from app.settings import Settings
from app.settings.reading import variables_of
from app.settings.values import Takes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_BEGIN = "<!-- What follows is written by `make openapi`. -->\n"
_TITLES = {
    "ServerSettings": "The process",
    "IdentitySettings": "Users of an issuer",
    "DatabaseSettings": "Storage",
    "ProviderSettings": "Providers and models",
    "RequestLimits": "Limits of requests",
    "LimitsOfUsers": "Limits of users",
    "RunSettings": "Runs",
    "OutboundSettings": "Requests of tools",
    "JobSettings": "Background jobs",
    "TracingSettings": "Traces",
}
_WORDS = {bool: "`true` or `false`", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
# Beyond what a number holds exactly there is no bound to tell of.
_UNBOUNDED = 2**53 - 1


def render(page: str) -> str:
    """The page with the reference as it is now."""
    return page.partition(_BEGIN)[0] + _BEGIN + "".join(map(_section, Settings.__bases__))


def _section(concern: type) -> str:
    rows = "".join(_row(name, Settings.model_fields[name]) for name in concern.model_fields)  # type: ignore[attr-defined]
    intro = " ".join((getdoc(concern) or "").split())
    return (
        f"\n## {_TITLES[concern.__name__]}\n\n{intro}\n\n"
        f"| variable | takes | default | what it does |\n| --- | --- | --- | --- |\n{rows}"
    )


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"the setting {name} has no description")
    variables = ", ".join(f"`{variable}`" for variable in variables_of(name))
    default = shown(field.default)
    return f"| {variables} | {takes(field)} | {f'`{default}`' if default else ''} | {field.description} |\n"


def shown(default: Any) -> str:
    """A default as one would set it; empty where there is none."""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def takes(field: FieldInfo) -> str:
    """What values a setting takes, with their bounds."""
    found = [*field.metadata, *_parts(field.annotation)]
    words = next((each.words for each in found if isinstance(each, Takes)), None) or _word(found)
    # A `Field` inside of a union's member keeps its bounds to itself.
    return words + _bounds([bound for each in found for bound in getattr(each, "metadata", [each])])


def _parts(annotation: Any) -> Iterator[Any]:
    """The types and metadata of which an annotation is made."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield " or ".join([", ".join(f"`{each}`" for each in arguments[:-1]), f"`{arguments[-1]}`"])
    elif origin is Annotated:
        yield from arguments[1:]
        yield from _parts(arguments[0])
    elif origin in (Union, UnionType):
        for each in arguments:
            yield from _parts(each)
    else:
        yield annotation


def _word(found: list[Any]) -> str:
    return next(
        each if isinstance(each, str) else _WORDS[each] for each in found if isinstance(each, str) or each in _WORDS
    )


def _bounds(found: list[Any]) -> str:
    told: list[str] = []
    least = next((bound.ge for bound in found if isinstance(bound, Ge)), None)
    most = next((bound.le for bound in found if isinstance(bound, Le) and bound.le != _UNBOUNDED), None)
    if least is not None:
        told.append(f"{least:,} or more" if most is None else f"{least:,} to {most:,}")
    elif most is not None:
        told.append(f"at most {most:,}")
    for bound in found:
        match bound:
            case Gt(gt):
                told.insert(0, f"more than {gt:,}")
            case MinLen(shortest):
                told.append(f"{counted(shortest, 'character')} or more")
            case MaxLen(longest):
                told.append(f"at most {counted(longest, 'character')}")
    return "".join(f", {each}" for each in told)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

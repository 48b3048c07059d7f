"""Whether an agent is what its fields allow, told in a sentence with the names that there are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.types import Loc, ReasoningEffort
from ai_agents.core.wording import there_are
from ai_agents.guardrails.registry import build_guardrails
from ai_agents.memory.registry import list_memory_strategies, strategy_from_config
from ai_agents.tools.schema import OutputValidator

_TEXTS = ("description", "system_prompt", "provider", "model")
_OBJECTS = ("settings", "metadata")
_LISTS = ("tools", "guardrails", "fallbacks")
_TOOL_FIELDS = ("name", "approval", "expires_in_s")
_FALLBACK_FIELDS = ("provider", "model")


class _Setting(NamedTuple):
    """What a setting is, as a part of a sentence, and whether a value is that."""

    told: str
    allows: Callable[[Any], bool]


def _number(least: float, most: float) -> _Setting:
    return _Setting(f"a number from {least:g} to {most:g}", lambda value: _is_number(value) and least <= value <= most)


def _whole(least: int, most: int) -> _Setting:
    return _Setting(
        f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most
    )


def _one_of(*words: str) -> _Setting:
    return _Setting("one of " + ", ".join(words), lambda value: isinstance(value, str) and value in words)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_stop(value: object) -> bool:
    texts = [value] if isinstance(value, str) else value
    return (
        isinstance(texts, list | tuple)
        and len(texts) <= 16
        and all(isinstance(text, str) and 0 < len(text) <= 200 for text in texts)
    )


# The settings of an agent, each of which may be None, too. The service takes the same.
SETTINGS: Mapping[str, _Setting] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "max_tokens": _whole(1, 10_000_000),
    "stop": _Setting("a list of up to 16 texts of up to 200 characters", _is_stop),
    "reasoning": _one_of(*get_args(ReasoningEffort)),
    "on_cut": _one_of("retry", "keep"),
    "api": _one_of("chat", "responses"),
    "timeout_s": _Setting("a number of seconds up to 600", lambda value: _is_number(value) and 0 < value <= 600),
    "tool_rounds": _whole(1, 100),
}


def check_agent(fields: Mapping[str, Any], names: Collection[str]) -> None:
    """Check the fields that are given of an agent, whose fields are these `names`; without its guardrails.

    Raises `InvalidRequest`.
    """
    for name in fields:
        _check_name("field of an agent", name, names, (name,))
    for name in _TEXTS:
        if not isinstance(fields.get(name), str | None):
            raise InvalidRequest(
                f"The {name} of an agent is a text{_hint(name)}, not {_kind(fields[name])}.", loc=(name,)
            )
    for name in _OBJECTS:
        if name in fields and not isinstance(fields[name], Mapping):
            raise InvalidRequest(f"The {name} of an agent are a dict, not {_kind(fields[name])}.", loc=(name,))
    for name in _LISTS:
        if name in fields and (isinstance(fields[name], str) or not isinstance(fields[name], Sequence)):
            raise InvalidRequest(f"The {name} of an agent are a list, not {_kind(fields[name])}.", loc=(name,))
    _check_settings(fields.get("settings") or {})
    _check_tools(fields.get("tools") or ())
    if fields.get("memory") is not None:
        _check_memory(fields["memory"])
    _check_fallbacks(fields.get("fallbacks") or ())


def check_costly(fields: Mapping[str, Any]) -> None:
    """Check the guardrails and the output schema, which may take a second. Raises `InvalidRequest`."""
    for number, each in enumerate(fields.get("guardrails") or ()):
        if not isinstance(each, Mapping):
            sentence = f'A guardrail of an agent is a dict such as {{"type": "secrets"}}, not {_kind(each)}.'
            raise InvalidRequest(sentence, loc=("guardrails", number))
    build_guardrails(fields.get("guardrails") or (), are_new=True)
    if fields.get("output_schema") is not None:
        OutputValidator(fields["output_schema"])


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        _check_name("setting", name, SETTINGS, ("settings", name))
        if value is not None and not SETTINGS[name].allows(value):
            raise InvalidRequest(f"The setting {name} is {SETTINGS[name].told}, not {value!r}.", loc=("settings", name))


def _check_tools(tools: Sequence[Any]) -> None:
    seen: set[str] = set()
    for number, each in enumerate(tools):
        loc: Loc = ("tools", number)
        if isinstance(each, Mapping):
            for field in each:
                _check_name("field of a tool", field, _TOOL_FIELDS, loc)
            if each.get("approval", "never") not in ("never", "always"):
                raise InvalidRequest(
                    f'The approval of a tool is "never" or "always", not {each["approval"]!r}.', loc=loc
                )
        name = each.get("name") if isinstance(each, Mapping) else each
        if not isinstance(name, str) or not name:
            raise InvalidRequest(
                f'A tool of an agent is a name, {{"name": "…", "approval": "always"}}, or a tool, not {_kind(each)}.',
                loc=loc,
            )
        if name in seen:
            raise InvalidRequest(f"The agent names the tool {name} twice.", loc=loc)
        seen.add(name)


def _check_memory(memory: Any) -> None:
    if not isinstance(memory, Mapping) or not isinstance(memory.get("strategy"), str):
        known = ", ".join(list_memory_strategies())
        raise InvalidRequest(
            f'The memory of an agent is a dict such as {{"strategy": "last_n", "n": 20}}, not {_kind(memory)}. '
            f"The strategies are: {known}.",
            loc=("memory",),
        )
    strategy_from_config(memory)


def _check_fallbacks(fallbacks: Sequence[Any]) -> None:
    for number, each in enumerate(fallbacks):
        if not isinstance(each, Mapping) or sorted(each) != sorted(_FALLBACK_FIELDS) or not _are_texts(each.values()):
            sentence = 'A fallback of an agent is {"provider": "…", "model": "…"}.'
            raise InvalidRequest(sentence, loc=("fallbacks", number))


def _are_texts(values: Collection[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _check_name(kind: str, name: object, known: Collection[str], loc: Loc) -> None:
    if name not in known:
        near = get_close_matches(str(name), known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise InvalidRequest(f"There is no {kind} {str(name)[:64]!r}; {there_are(known)}.{meant}", loc=loc)


def _hint(name: str) -> str:
    return ', such as "anthropic"; an object goes to AgentRunner' if name == "provider" else ""


def _kind(value: object) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) else f"an object of {type(value).__name__}"

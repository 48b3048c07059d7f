"""Agents as YAML: one document for each agent, with true line numbers for what is wrong in one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from app.commands.command import CommandFailed
from app.problems import placed, validation_errors
from app.schemas.agents import AgentFields, CreateAgent

# More than any agent has; without it, anchors that refer to anchors could stand for billions.
_MAX_NODES = 100_000
# Names an agent that is there already, where its name alone would not do.
ID = "id"


class BadFile(CommandFailed):
    """What is wrong in a file: lines of `file:line: reason`."""


class _Loader(yaml.SafeLoader):
    """Reads scalars as JSON does: dates, `yes` and `010` are texts, not what YAML 1.1 makes of them."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  # as the base class declares it


for _tag, _form, _first in (
    ("null", "~|null|", "~n"),
    ("bool", "true|false", "tf"),
    ("int", "-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"), [*_first, ""])


@dataclass(frozen=True)
class Document:
    """An agent of a file. `given` is what it says; `agent` has the defaults, too."""

    agent: CreateAgent
    given: Mapping[str, Any]
    agent_id: str | None
    node: yaml.Node

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name

    @property
    def line(self) -> int:
        """Where it begins, from 1."""
        return int(self.node.start_mark.line) + 1

    def line_of(self, loc: Sequence[str | int]) -> int:
        """The line of what an error is about. Parts of `loc` that are no keys are left out: names of variants."""
        return _line_of(self.node, loc)


def read_documents(text: str, source: str) -> list[Document]:
    """The agents of a text. Raises `BadFile` with all mistakes that there are, each as `source:line: reason`."""
    try:
        nodes = [(node, value) for node, value in _load(text, source) if value is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = source if mark is None else f"{source}:{mark.line + 1}"
        raise BadFile(f"{where}: {getattr(error, 'problem', None) or 'this is no YAML'}") from None
    if not nodes:
        raise BadFile(f"{source}: there is no agent in it")
    found, mistakes = list[Document](), list[str]()
    for node, value in nodes:
        try:
            found.append(_read(node, value))
        except _Mistakes as error:
            mistakes += [f"{source}:{line}: {reason}" for line, reason in error.found]
    mistakes += _twice(found, source)
    if mistakes:
        raise BadFile("\n".join(mistakes))
    return found


class _Mistakes(Exception):
    def __init__(self, found: list[tuple[int, str]]) -> None:
        super().__init__()
        self.found = found


def _load(text: str, source: str) -> Iterator[tuple[yaml.Node, Any]]:
    """Each document as its tree and as its value."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # noqa: S101  # `check_node` has said so
            _check_tree(node, source)
            # It takes merged keys (`<<`) into the tree, so their lines are found, too.
            yield node, loader.construct_document(node)
    finally:
        loader.dispose()


def _check_tree(root: yaml.Node, source: str) -> None:
    """Raises `BadFile` for what YAML takes and no agent can mean: keys that stand twice, loops, and endless anchors."""
    above, left = list[yaml.Node](), _MAX_NODES

    def walk(node: yaml.Node) -> None:
        nonlocal left
        left -= 1
        where = f"{source}:{node.start_mark.line + 1}"
        if left < 0 or any(node is each for each in above):
            raise BadFile(f"{where}: this refers to itself, or has too many parts")
        above.append(node)
        if isinstance(node, yaml.MappingNode):
            seen = set[str]()
            for key, value in node.value:
                name = str(key.value)
                if not isinstance(key, yaml.ScalarNode) or name in seen:
                    what = f"{name} stands twice" if name in seen else "a key is a text"
                    raise BadFile(f"{source}:{key.start_mark.line + 1}: {what}")
                seen.add(name)
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                walk(each)
        above.pop()

    walk(root)


def _read(node: yaml.Node, value: Any) -> Document:
    """Raises `_Mistakes`."""
    line = int(node.start_mark.line) + 1
    if not isinstance(value, dict):
        raise _Mistakes([(line, "an agent is a mapping, such as `name: helper`")])
    given = {str(key): each for key, each in value.items()}
    agent_id = given.pop(ID, None)
    if agent_id is not None and not isinstance(agent_id, str):
        raise _Mistakes([(_line_of(node, [ID]), "id: it should be a text")])
    try:
        return Document(CreateAgent.model_validate(given), given, agent_id, node)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        found = validation_errors([placed(each, given) for each in details])
        raise _Mistakes([(_line_of(node, each["loc"]), describe(each)) for each in found]) from None


def describe(error: Mapping[str, Any]) -> str:
    """An error of a field, as one line."""
    place = ".".join(str(part) for part in error["loc"] if part != "body")
    return f"{place}: {error['msg']}" if place else str(error["msg"])


def _twice(documents: Sequence[Document], source: str) -> list[str]:
    lines = dict[str, int]()
    found = []
    for each in documents:
        if each.agent_id is not None:
            continue
        if each.name in lines:
            where = f"{source}:{each.line_of(['name'])}"
            found.append(f"{where}: {each.name!r} is also the agent of line {lines[each.name]}")
        lines.setdefault(each.name, each.line)
    return found


def _line_of(node: yaml.Node, loc: Sequence[str | int]) -> int:
    line = int(node.start_mark.line) + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is not None:
                line, node = int(found[0].start_mark.line) + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = int(node.start_mark.line) + 1
    return line


def fields_of(agent: Mapping[str, Any]) -> dict[str, Any]:
    """What a file would say of an agent that the service has: its fields but for those that have their defaults."""
    fields = {name: agent[name] for name in AgentFields.model_fields if name in agent}
    try:
        return short(CreateAgent.model_validate(fields))
    except ValidationError:  # it was made when more was allowed
        return fields


def short(agent: CreateAgent) -> dict[str, Any]:
    """The fields that differ from their defaults, in the order of the API. The same for all ways to write them."""
    blank = CreateAgent(name=agent.name)
    values: dict[str, Any] = agent.model_dump(mode="json", by_alias=True)
    if agent.settings is not None:
        values["settings"] = agent.settings.model_dump(mode="json", exclude_none=True)
    defaults = blank.model_dump(mode="json", by_alias=True) | {"settings": {}}
    return {name: value for name, value in values.items() if name == "name" or value != defaults[name]}


def to_yaml(fields: Mapping[str, Any]) -> str:
    """A document of a file. Texts of several lines are written as blocks."""
    return yaml.dump(dict(fields), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Lists are indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)

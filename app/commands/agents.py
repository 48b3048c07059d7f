"""`ai-agents agents`: the agents of a running service, also from YAML files."""

import argparse
import difflib
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.commands.command import Command, CommandFailed, Group, WrongUse
from app.commands.options import add_json, add_service
from app.commands.terminal import Style, note, print_json, print_listed, styled

if TYPE_CHECKING:
    from ai_agents.client import Client
    from app.commands.agent_files import Document
T = TypeVar("T")
_COLUMNS = ("id", "name", "provider", "model", "version", "description")
_STYLES: Mapping[str, Style] = {"+": "green", "-": "red", "@": "cyan"}


def _ask(arguments: argparse.Namespace, use: "Callable[[Client], Coroutine[Any, Any, T]]") -> "T":
    from app.commands.service import with_service

    return with_service(arguments, use)


async def _all_agents(client: "Client") -> list[Any]:
    return [each async for each in client.list_agents()]


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_service(parser)
    add_json(parser)


def _list(arguments: argparse.Namespace) -> None:
    found = _ask(arguments, _all_agents)
    print_listed(
        found,
        _COLUMNS,
        as_json=arguments.json,
        empty="There are no agents. `ai-agents agents apply` makes some from a file.",
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", help="its id or its name")
    add_service(parser)
    add_json(parser)


def _show(arguments: argparse.Namespace) -> None:
    from app.commands.agent_files import fields_of, to_yaml
    from app.commands.finding import find_agent

    agent = _ask(arguments, lambda client: find_agent(client, arguments.agent))
    if arguments.json:
        print_json(agent)
    elif "version" in agent:
        note(f"# {agent['id']}, version {agent['version']}", "dim")
        print(to_yaml(fields_of(agent)), end="")
    else:
        # A user who may only talk to it sees no more.
        print(to_yaml(agent), end="")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", nargs="*", help="ids or names; without any, all that you may read")
    parser.add_argument("--with-ids", action="store_true", help="name each by its id, to change it under a new name")
    add_service(parser)


def _export(arguments: argparse.Namespace) -> None:
    from app.commands.agent_files import ID, fields_of, to_yaml
    from app.commands.finding import find_agent

    async def read(client: "Client") -> list[Any]:
        names = arguments.agent or [each["id"] for each in await _all_agents(client)]
        return [await find_agent(client, name) for name in names]

    shown = 0
    for agent in _ask(arguments, read):
        if "version" not in agent:
            note(f"{agent['name']} is left out: you may talk to it, and not read it.")
            continue
        ids = {ID: agent["id"]} if arguments.with_ids else {}
        print("---\n" if shown else "", to_yaml(ids | fields_of(agent)), sep="", end="")
        shown += 1


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", dest="files", metavar="FILE", action="append", required=True, help="a YAML file (- for standard input)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be changed")
    add_service(parser)
    add_json(parser)


def _apply(arguments: argparse.Namespace) -> None:
    from app.commands.agent_files import read_documents

    read = [(source, each) for source in arguments.files for each in read_documents(_text_of(source), source)]
    names = [each.name for _, each in read if each.agent_id is None]
    if len(set(names)) < len(names):
        raise WrongUse("Two of the files have an agent of the same name.")
    done = []

    async def apply(client: "Client") -> None:
        # All that can be known is known before anything is changed.
        current = [await _find_current(client, source, each) for source, each in read]
        for (source, document), agent in zip(read, current, strict=True):
            result = await _apply_one(client, source, document, agent, dry_run=arguments.dry_run)
            done.append(result)
            if not arguments.json:
                _tell(document, agent, result, dry_run=arguments.dry_run)

    _ask(arguments, apply)
    if arguments.json:
        print_json(done)


def _text_of(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{source}: this is no text in UTF-8 (byte {error.start}).") from None


async def _find_current(client: "Client", source: str, document: "Document") -> Mapping[str, Any] | None:
    """The agent that a document is about, as it is now; None for one that is to be made. Raises `CommandFailed`."""
    from app.commands.finding import agents_named, get_agent

    where = f"{source}:{document.line}"
    if document.agent_id is not None:
        known: Mapping[str, Any] = await get_agent(client, document.agent_id)
        return known
    found = await agents_named(client, document.name, shared=False)
    if len(found) > 1:
        ids = ", ".join(each["id"] for each in found)
        raise CommandFailed(f"{where}: several agents are called {document.name!r} ({ids}): name one with `id:`.")
    agent: Mapping[str, Any] | None = await get_agent(client, found[0]["id"]) if found else None
    if agent is not None and "version" not in agent:
        raise CommandFailed(f"{where}: you may talk to the agent {document.name!r}, and neither read nor change it.")
    return agent


async def _apply_one(
    client: "Client", source: str, document: "Document", agent: Mapping[str, Any] | None, *, dry_run: bool
) -> dict[str, Any]:
    """Make the agent as the document says. Raises `CommandFailed` with the line that the service refuses."""
    from ai_agents.client import ServiceProblem
    from app.commands.agent_files import BadFile, describe, fields_of, short

    wanted = short(document.agent)
    now = {} if agent is None else fields_of(agent)
    if agent is not None and wanted == now:
        return {"name": document.name, "id": agent["id"], "version": agent["version"], "result": "unchanged"}
    result = "created" if agent is None else "changed"
    if dry_run:
        return {
            "name": document.name,
            "id": agent and agent["id"],
            "version": agent and agent["version"],
            "result": result,
        }
    whole = document.agent.model_dump(mode="json", by_alias=True)
    try:
        if agent is None:
            made = await client.create_agent(**wanted)
        else:
            # What the document does not say goes back to its default.
            changes = {name: whole[name] for name in wanted.keys() | now.keys() if wanted.get(name) != now.get(name)}
            made = await client.update_agent(agent["id"], if_version=agent["version"], **changes)
    except ServiceProblem as refused:
        if refused.status == 412:
            raise CommandFailed(f"{document.name} was changed by another meanwhile: apply the file again.") from None
        where = [(document.line_of(each["loc"][1:]), describe(each)) for each in refused.errors]
        lines = where or [(document.line, f"the service refused: {refused.detail}")]
        raise BadFile("\n".join(f"{source}:{line}: {reason}" for line, reason in lines)) from None
    return {"name": document.name, "id": made["id"], "version": made["version"], "result": result}


def _tell(document: "Document", agent: Mapping[str, Any] | None, result: dict[str, Any], *, dry_run: bool) -> None:
    would = "would be " if dry_run and result["result"] != "unchanged" else ""
    version = "" if result["version"] is None or would else f", version {result['version']}"
    of = "" if result["id"] is None else f" ({result['id']}{version})"
    print(f"{document.name}{of}: {would}{result['result']}")
    if result["result"] == "changed" and agent is not None:
        for line in _difference(agent, document):
            print(styled(line, _STYLES[line[0]], sys.stdout) if line[0] in _STYLES else line)


def _difference(agent: Mapping[str, Any], document: "Document") -> Iterator[str]:
    from app.commands.agent_files import fields_of, short, to_yaml

    before, after = (to_yaml(fields).splitlines() for fields in (fields_of(agent), short(document.agent)))
    for line in difflib.unified_diff(before, after, "now", "file", lineterm="", n=2):
        if not line.startswith(("---", "+++")):
            yield line


AGENTS = Group(
    "agents",
    "Agents, also from files.",
    [
        Command(
            "list",
            "List the agents that you see, newest first.",
            _list,
            _add_list,
            place="service",
            examples=("ai-agents agents list", "ai-agents agents list --json"),
        ),
        Command(
            "show",
            "Show an agent as YAML.",
            _show,
            _add_show,
            place="service",
            examples=("ai-agents agents show helper", "ai-agents agents show helper --json"),
        ),
        Command(
            "apply",
            "Make and change agents as files say.",
            _apply,
            _add_apply,
            place="service",
            details="An agent of a file is found by its name (or by `id:`), made if there is none, and changed only "
            "where it differs, so that a file can be applied again and again. A file is the whole truth of an agent: "
            "what it does not say has its default. Several agents are separated by `---`; their fields are those "
            "of POST /agents. Mistakes are told with their lines, and all files are read before anything is changed.",
            examples=(
                "ai-agents agents apply -f agents.yaml --dry-run",
                "ai-agents agents apply -f agents.yaml",
                "ai-agents agents export | ai-agents agents apply -f - --url https://agents.example.com --key-file key",
            ),
        ),
        Command(
            "export",
            "Print agents as YAML, for `apply`.",
            _export,
            _add_export,
            place="service",
            examples=("ai-agents agents export > agents.yaml", "ai-agents agents export helper"),
        ),
    ],
)

"""`ai-agents providers`: the providers of a running service."""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ai_agents.core.wording import harmless
from app.commands.command import FAILED, Command, Group, WrongUse
from app.commands.options import add_json, add_service
from app.commands.terminal import note, print_json, print_listed, styled

_COLUMNS = ("name", "type", "configured", "default", "default_model", "reason")


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_service(parser)
    add_json(parser)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the provider's name, as agents write it in `provider`")


def _ask(
    arguments: argparse.Namespace, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
) -> Any:
    """The answer of the service to one request."""
    from app.commands.service import with_service

    return with_service(arguments, lambda client: client.request(method, path, body, params=params))


def _path(arguments: argparse.Namespace) -> str:
    return f"/providers/{quote(arguments.name, safe='')}"


def _list(arguments: argparse.Namespace) -> None:
    found = _ask(arguments, "GET", "/providers")["data"]
    print_listed(found, _COLUMNS, as_json=arguments.json, empty="There are no providers that you may use.")


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("--model", help="the model to ask (its default model, else the first one that it lists)")
    _add_common(parser)


def _check(arguments: argparse.Namespace) -> int | None:
    found = _ask(arguments, "POST", f"{_path(arguments)}/check", params={"model": arguments.model})
    if arguments.json:
        print_json(found)
    elif found["ok"]:
        ok = styled("ok", "green", sys.stdout)
        print(f"{ok}  {harmless(arguments.name)} answered as {found['model']} after {found['latency_ms']} ms.")
    else:
        status = "" if found["status"] is None else f" (HTTP {found['status']})"
        note(f"{harmless(arguments.name)} does not work{status}: {harmless(str(found['reason']))}")
    return None if found["ok"] else FAILED


def _add_models(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_common(parser)


def _models(arguments: argparse.Namespace) -> None:
    found = _ask(arguments, "GET", f"{_path(arguments)}/models")["data"]
    columns = ("id", "name", "context_window")
    print_listed(found, columns, as_json=arguments.json, empty="The provider lists no models.")


def _add_add(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("--preset", help="a well-known server, such as groq, mistral, openrouter or vllm")
    parser.add_argument("--type", help="the API that the server has: openai, anthropic, gemini or ollama")
    parser.add_argument("--base-url", help="its address; OpenAI-compatible ones end in /v1")
    parser.add_argument("--api-key-from", metavar="NAME", help="the environment variable with the provider's key")
    parser.add_argument("--default-model", help="for agents that name no model")
    _add_common(parser)


def _add_provider(arguments: argparse.Namespace) -> None:
    body: dict[str, Any] = {
        "name": arguments.name,
        "preset": arguments.preset,
        "type": arguments.type,
        "base_url": arguments.base_url,
        "default_model": arguments.default_model,
    }
    if arguments.api_key_from is not None:
        key = os.environ.get(arguments.api_key_from)
        if not key:
            raise WrongUse(f"The environment has no {arguments.api_key_from}, which --api-key-from names.")
        body["api_key"] = key
    made = _ask(arguments, "POST", "/providers", {name: value for name, value in body.items() if value})
    if arguments.json:
        print_json(made)
    else:
        print(f"{made['name']} is there. `ai-agents providers check {made['name']}` asks it.")


def _add_remove(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    add_service(parser)


def _remove(arguments: argparse.Namespace) -> None:
    _ask(arguments, "DELETE", _path(arguments))
    print(f"{harmless(arguments.name)} is removed.")


PROVIDERS = Group(
    "providers",
    "Providers of models.",
    [
        Command(
            "list",
            "List the providers that agents may name, and what one that cannot be used lacks.",
            _list,
            _add_common,
            place="service",
            examples=("ai-agents providers list", "ai-agents providers list --json"),
        ),
        Command(
            "check",
            "Send a provider one smallest request, and tell what it answers.",
            _check,
            _add_check,
            place="service",
            details="The request costs a few tokens.",
            examples=("ai-agents providers check openai", "ai-agents providers check house --model qwen3"),
            exits={1: "the provider does not work, or cannot be asked"},
        ),
        Command(
            "models",
            "List the models that a provider offers.",
            _models,
            _add_models,
            place="service",
            examples=("ai-agents providers models ollama",),
        ),
        Command(
            "add",
            "Make a provider: a server by a name of your own.",
            _add_provider,
            _add_add,
            place="service",
            details="Its key comes from an environment variable, never from the command line, which others can see.",
            examples=(
                "ai-agents providers add groq --preset groq --api-key-from GROQ_API_KEY",
                "ai-agents providers add house --type openai --base-url http://gpu:8000/v1 --default-model qwen3",
            ),
        ),
        Command(
            "remove",
            "Remove a provider that was made with `add` or over HTTP.",
            _remove,
            _add_remove,
            place="service",
            details="Agents that name it cannot answer any more.",
            examples=("ai-agents providers remove house",),
        ),
    ],
)

"""The protocol of a wire format: it builds the requests of one API and makes the parsers of its answers."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.notices import Notice
from ai_agents.core.types import JsonObject, ModelRequest
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.single_calls import wants_single_calls
from ai_agents.providers.tool_schemas import Family

# The quirk that makes the next request differ in the parameter that a refusal names; None where the payload that was
# refused does not have it.
Remedy = Callable[[JsonObject], Quirks | None]


class WireFormat(ABC):
    """One API. It has no state: one object serves all requests to all servers that speak it.

    `remedies` say, by the name of a parameter that the format adds by itself, what to do where a server refuses it.
    `family` tells which schemas of tools its servers refuse.
    """

    family: ClassVar[Family] = "openai"
    remedies: ClassVar[Mapping[str, Remedy]] = {}

    @abstractmethod
    def path(self, request: ModelRequest) -> str:
        """The path of the request, after the server's base URL."""

    @abstractmethod
    def to_wire(self, request: ModelRequest, endpoint: Endpoint) -> JsonObject:
        """The body of the request. What is stable from turn to turn comes first; the messages only grow."""

    @abstractmethod
    def parser(self, request: ModelRequest, endpoint: Endpoint, before: ResponseParser | None = None) -> ResponseParser:
        """A parser for the response to this request. `before` parsed the response that this one continues."""

    def headers_to_wire(self, payload: JsonObject) -> Mapping[str, str]:
        """The headers that this request needs beside those of every request, with lower-case names."""
        return {}

    def left_out(self, request: ModelRequest, endpoint: Endpoint) -> Sequence[Notice]:
        """What the agent asks for and the request leaves out, since the model does not take it."""
        return ()

    def read_refusal(self, error: ProviderError, request: ModelRequest, endpoint: Endpoint) -> ResponseParser | None:
        """A parser that has read the refusal as the model's answer; None where it is none."""
        return None

    def remedy(self, error: ProviderError, payload: JsonObject) -> Quirks | None:
        """The quirk with which the server may take the request; None where the refusal names nothing that we added."""
        if wants_single_calls(error.upstream["message"] if error.upstream else ""):
            return Quirks(parallel_calls=False)
        named = [name for name in self.remedies if names_parameter(error, name)]
        # What the server names in a field of its own comes before what its sentence names.
        named.sort(key=lambda name: name not in parameter_path(error))
        return next((found for name in named if (found := self.remedies[name](payload)) is not None), None)


def drop(parameter: str, quirk: Quirks) -> Remedy:
    """The remedy for a parameter of the payload's top level that can be left out."""
    return lambda payload: quirk if parameter in payload else None


def parameter_path(error: ProviderError) -> list[str]:
    """The parameter that a refusal names in a field of its own, as its path, such as `messages`, `0`, `content`."""
    return re.split(r"[.\[\]]+", error.parameter) if error.parameter else []


def names_parameter(error: ProviderError, parameter: str) -> bool:
    """Whether a refusal names this parameter, in a field of its own or in its sentence."""
    said = error.upstream["message"] if error.upstream else ""
    word = rf"(?<![A-Za-z0-9_]){re.escape(parameter)}(?![A-Za-z0-9_])"
    return parameter in parameter_path(error) or re.search(word, said) is not None

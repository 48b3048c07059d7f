"""Tools that are HTTP calls: an admin describes the call, and a model fills in the parameters.

The address is fixed up to its first placeholder, so that no argument can change the server that is called. What the
admin wrote into the address stands: an argument with the name of one of its parameters is not sent, nor is one that the
tool does not declare.
"""

import asyncio
import codecs
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlencode, urlsplit

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.headers import check_headers, merge_headers
from ai_agents.core.hosts import has_host
from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.base import IDEMPOTENCY_KEY, RemoteTool, ToolContext, ToolError
from ai_agents.tools.outbound import Outbound, OutboundResponse
from ai_agents.tools.results import SecretHeaders, clean_value
from ai_agents.tools.schema import ArgumentsValidator, declared_properties

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_URL = 2000
# Enough of an error's text to see what is wrong.
_MAX_ERROR = 2000
# Longer answers are parsed in a thread.
_LONG = 64 * 1024
_MAX_PARSED = 1024 * 1024
_CHARSETS = re.compile(
    r"ascii|utf-8(-sig)?|utf-(16|32)(-[bl]e)?|iso8859-[0-9]+|cp[0-9]+|koi8-[ru]|mac-[a-z]+|tis-620"
    r"|shift_jis(x0213)?|euc_j(p|is_2004|isx0213)|iso2022_jp.*|gb2312|gbk|gb18030|hz|big5(hkscs)?|euc_kr|johab|iso2022_kr"
)
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_-]{1,64})\}")
# Characters at which some servers end a segment of the path.
_ENDS = re.compile(r"[/\\;?#\x00-\x1f\x7f]")


class HttpTool(RemoteTool):
    """One HTTP call. `spec` has `name`, `description`, `parameters`, `method` and `url`; `headers` are secret.

    `retry_safe` in `spec` says that a call may be made twice; without it, a GET may.
    """

    def __init__(
        self, spec: Mapping[str, Any], outbound: Outbound, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.name = spec["name"]
        self.description = spec["description"]
        self.retry_safe = is_retry_safe(spec)
        self._spec = spec
        self._parameters = spec["parameters"]
        self._method = spec["method"]
        self._url = spec["url"]
        self._headers = dict(headers or {})
        self._secrets = SecretHeaders(self._headers)
        self._outbound = outbound
        self._sent = declared_properties(self._parameters) - set(_PLACEHOLDER.findall(self._url))
        self._fixed = _names_in(self._url)
        self._prefix = self._url.partition("{")[0]

    def get_definition(self) -> ToolDefinition:
        """Return the definition as the admin wrote it."""
        return ToolDefinition(self.name, self.description, self._parameters)

    def for_user(self, own: Mapping[str, str]) -> "HttpTool":
        """Return the same call with a user's own headers over those of the tool."""
        return HttpTool(self._spec, self._outbound, headers=merge_headers(self._headers, own))

    async def request(self, arguments: JsonObject, context: ToolContext | None = None) -> Any:
        """Return the JSON or the text of the answer. Raises `ToolError` if there is neither, or the call failed.

        The header `Idempotency-Key` is the id of the call, unless an admin has set it.
        """
        url, content = self._request(arguments)
        headers = self._headers if content is None else {"content-type": "application/json", **self._headers}
        if context is not None and IDEMPOTENCY_KEY not in {name.lower() for name in self._headers}:
            headers = {**headers, IDEMPOTENCY_KEY: context.tool_call_id}
        response = await self._outbound.request(self._method, url, headers=headers, content=content)
        if len(response.body) <= _LONG:
            return self._answer(response)
        return await asyncio.to_thread(self._answer, response)

    def _request(self, arguments: JsonObject) -> tuple[str, bytes | None]:
        url = _PLACEHOLDER.sub(lambda match: _in_url(match[1], arguments), self._url)
        named = _names_in(url)
        # A placeholder in the place of a parameter's name could repeat a fixed one.
        repeats = len(set(named)) < len(named) and named != self._fixed
        if repeats or not url.startswith(self._prefix):
            raise ToolError("The arguments do not fit the tool's address.")
        rest = {name: value for name, value in arguments.items() if name in self._sent and name.casefold() not in named}
        if self._method in {"GET", "DELETE"}:
            query = urlencode([pair for name, value in rest.items() for pair in _in_query(name, value)])
            joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
            return (f"{url}{joint}{query}" if query else url), None
        return url, json.dumps(rest).encode()

    def _answer(self, response: OutboundResponse) -> Any:
        text = _text_of(response)
        if text is None:
            kind = response.media_type or "unknown type"
            raise ToolError(f"The answer is not text ({self._secrets.hide(kind)}, {len(response.body)} bytes).")
        seen = self._secrets.hide_in_cut(text) if response.cut else self._secrets.hide(text)
        if response.status >= 400:
            raise ToolError(f"The server answered {response.status}: {seen[:_MAX_ERROR] or '(nothing)'}")
        if response.cut:
            return f"{seen}\n[The answer is longer; {len(response.body)} bytes of it were read.]"
        is_json = response.media_type == "application/json" or response.media_type.endswith("+json")
        if is_json and len(text) <= _MAX_PARSED:  # the model is shown only the beginning of a longer one
            try:
                return self._secrets.hide_in(clean_value(json.loads(text)))
            except ValueError:
                return seen
        return seen or f"(status {response.status}, no content)"


def is_retry_safe(spec: Mapping[str, Any]) -> bool:
    """Whether a call of an admin's tool may be made twice: as the admin says, otherwise a GET."""
    said: bool | None = spec.get("retry_safe")
    return spec.get("method") == "GET" if said is None else said


def check_http_spec(spec: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Check the description of a call. Raises `InvalidRequest` with the field that is wrong."""
    if spec["method"] not in METHODS:
        raise InvalidRequest(f"The method is one of {', '.join(METHODS)}.", loc=("method",))
    ArgumentsValidator(spec["parameters"])
    check_url(spec["url"], spec["parameters"])
    check_headers(headers)


def check_url(url: str, parameters: Mapping[str, Any] | None = None) -> None:
    """Check the address of a tool. Raises `InvalidRequest`. Without `parameters` it may have no placeholders."""
    place = ("url",)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidRequest("This is not an address.", loc=place) from None
    if parts.scheme not in {"http", "https"} or not host or len(url) > _MAX_URL or not url.isprintable() or " " in url:
        raise InvalidRequest(f"The address is http or https, with a host, in {_MAX_URL} characters.", loc=place)
    if not {"{", "}"} & set(host) and not has_host(parts):
        raise InvalidRequest(
            "The host is a name that can be looked up, or a whole IP address without a zone.", loc=place
        )
    if "@" in parts.netloc or "#" in url:
        raise InvalidRequest("The address has no user and no fragment: secrets go into headers.", loc=place)
    fixed = f"{parts.scheme}://{parts.netloc}/"
    if {"{", "}"} & set(parts.netloc) or ("{" in url and not url.startswith(fixed)):
        raise InvalidRequest("Placeholders stand in the path or the query, after the host and a slash.", loc=place)
    left = _PLACEHOLDER.sub("", url)
    if "{" in left or "}" in left:
        raise InvalidRequest("A placeholder is the name of a parameter in curly brackets.", loc=place)
    given = parameters or {}
    known = set(given.get("properties") or {}) & set(given.get("required") or ())
    for name in _PLACEHOLDER.findall(url):
        if name not in known:
            raise InvalidRequest(f"The placeholder {name} is not a required parameter.", loc=place)


def _in_url(name: str, arguments: JsonObject) -> str:
    """Return an argument as it replaces its placeholder. It cannot leave its segment of the path, nor go up (`..`)."""
    value = arguments.get(name)
    if value is None or isinstance(value, dict | list):
        raise ToolError(f"The argument {name} is part of the address: it must be a text or a number.")
    text = value if isinstance(value, str) else json.dumps(value)
    plain = text
    for _ in range(3):  # some servers decode a path more than once
        plain = unquote(plain)
    if not text or any(segment.strip() in {".", ".."} for segment in _ENDS.split(plain)):
        raise ToolError(f"The argument {name} is part of the address: it is not empty, and no segment is `.` or `..`.")
    return quote(text, safe="")


def _names_in(url: str) -> list[str]:
    """Return the names of the parameters in an address, without regard to case, as many servers read them."""
    query = url.partition("?")[2]
    return [unquote_plus(pair.partition("=")[0]).casefold() for pair in re.split("[&;]", query) if pair]


def _in_query(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [pair for each in value for pair in _in_query(name, each)]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def _text_of(response: OutboundResponse) -> str | None:
    """Return the body as text; None if it is not text."""
    kind = response.media_type
    is_text = kind.startswith("text/") or kind.endswith(("json", "xml", "javascript", "yaml", "x-www-form-urlencoded"))
    if not is_text:
        try:
            text = response.body.decode()
        except UnicodeDecodeError:
            return None
        return None if "\0" in text else text
    return clean_text(response.body.decode(_safe_charset(response.charset or "utf-8"), "replace"))


def _safe_charset(charset: str) -> str:
    """Return the charset if texts are sent in it, else UTF-8: some codecs take hours for a few megabytes."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _CHARSETS.fullmatch(name) else "utf-8"

"""How a message is sent: its content, its options, and what is checked before it is admitted."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, get_args

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.json import clean_text
from ai_agents.core.rows import RunOverrides
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import FilePart, JsonObject, TextPart, ToolDefinition
from ai_agents.core.wording import there_are
from ai_agents.runner.admission_request import OnBusy
from ai_agents.store.ranks import EVERYBODY
from ai_agents.tools.schema import OutputValidator

Content = str | Sequence[TextPart | FilePart]


class RetryOptions(TypedDict, total=False):
    """How a retry is sent; see `MessageOptions`."""

    idempotency_key: str | None
    fingerprint: str
    key_within_s: float | None
    is_admin: bool
    within: AgentScope | None
    key_id: str | None


class MessageOptions(RetryOptions, total=False):
    """How a message is sent. `attachments` are ids of files, which come after the content.

    `on_busy` is "reject" unless it is given; with "steer" the message joins a run that is under way.
    A message with an `idempotency_key` is stored once; another request under the same key, which its `fingerprint`
    tells, is refused. A key holds for `key_within_s` seconds (None: 24 hours); with 0 the message is a new one in any
    case, and takes the key over. `is_admin`: the user's roles do not count.
    `client_tools` are told to the model for this message; the caller makes their calls and gives the results
    (`give_results`). A run that it joins goes on with them in place of those that it had, where there are any.
    `overrides` say what is otherwise than with the agent for this message; provider, model and instructions need editor
    on the agent. A run that it joins goes on with them, or with none.
    Only what is `within` these agents is seen (None: all). A run that waits before it begins is refused then where the
    API key or token `key_id` was deleted meanwhile.
    """

    attachments: Sequence[str]
    metadata: Mapping[str, Any] | None
    on_busy: OnBusy
    client_tools: Sequence[ToolDefinition]
    overrides: RunOverrides | None


def check_options(options: Mapping[str, object], known: type) -> None:
    """Raises TypeError for an option that there is not, `InvalidRequest` for an `on_busy` that there is not."""
    names = known.__annotations__
    for name in options:
        if name not in names:
            raise TypeError(f"A message has no option {name}; {there_are(names)}.")
    if (on_busy := options.get("on_busy", "reject")) not in get_args(OnBusy):
        raise InvalidRequest(f"on_busy is one of {', '.join(get_args(OnBusy))}, not {on_busy!r}.", loc=("on_busy",))


def check_sender(user_id: str) -> None:
    """Raises `InvalidRequest` for a user id that cannot send, TypeError for what is none."""
    if not isinstance(user_id, str):
        raise TypeError(f"user_id is a text that you know a person by, not {type(user_id).__name__}.")
    if user_id in ("", EVERYBODY):
        raise InvalidRequest("A message has one user: an empty id and `*` cannot send one.")


def check_schema(schema: JsonObject) -> None:
    """Raises `InvalidRequest` for an `output_schema` among the overrides that is none."""
    try:
        OutputValidator(schema)
    except InvalidRequest as error:
        raise InvalidRequest(str(error), loc=("overrides", *error.loc)) from error


def content_parts(content: Content, attachments: Sequence[str]) -> tuple[TextPart | FilePart, ...]:
    """The parts of a message, in clean text. Raises `InvalidRequest` where it has neither content nor attachments."""
    given: Any = (TextPart(content),) if isinstance(content, str) else content
    if not isinstance(given, Sequence) or not all(isinstance(part, TextPart | FilePart) for part in given):
        sentence = f"The content of a message is a text, or TextParts and FileParts, not {type(content).__name__}."
        raise InvalidRequest(sentence, loc=("content",))
    parts: tuple[TextPart | FilePart, ...] = tuple(given)
    parts = tuple(TextPart(clean_text(part.text)) if isinstance(part, TextPart) else part for part in parts)
    if not attachments and not any(isinstance(part, FilePart) or part.text for part in parts):
        raise InvalidRequest("A message needs content.", loc=("content",))
    return parts

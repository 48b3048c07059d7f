"""The fold of a run's events: its text so far, and the message that it ends with."""

from dataclasses import dataclass, field
from typing import Any, cast

from ai_agents.client.errors import ServiceProblem
from ai_agents.core.events import Event
from ai_agents.core.problems import problem_with
from ai_agents.core.rows import Message, Run


@dataclass(slots=True)
class Answer:
    """What a run has said so far. `add` each event of its stream, in their order.

    `texts` are the texts of its messages by their ids, in their order, those in progress too; `messages` are those of
    the assistant that are complete. `run` is there once it has ended.
    """

    texts: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    run: Run | None = None

    def add(self, event: Event) -> None:
        """Take the next event."""
        data = event.data
        for void in data.get("discard", ()):
            self.texts.pop(void, None)
        if event.type == "message.delta":
            self.texts[data["message_id"]] = self.texts.get(data["message_id"], "") + data["text"]
        elif event.type == "message.completed" and data["message"]["role"] == "assistant":
            message: Message = data["message"]
            self.texts[message["id"]] = message["content"]
            self.messages.append(message)
        elif "run" in data:
            self.run = cast("Run", data["run"])

    @property
    def text(self) -> str:
        """The text of the newest message."""
        return next(reversed(self.texts.values()), "")

    def message(self) -> Message:
        """The last message: of a cancelled run what it had said, `incomplete`.

        Raises `ServiceProblem`: the run's own where it failed, else with the code `run_cancelled`.
        """
        failed: Any = self.run and self.run["error"]
        if failed:
            raise ServiceProblem(failed)
        if not self.messages:
            raise ServiceProblem(problem_with("run_cancelled", "The run was cancelled before it had any text."))
        return self.messages[-1]

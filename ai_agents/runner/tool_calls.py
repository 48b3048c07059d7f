"""Running the tool calls of one run: their results pass the guardrails, and long ones are kept as files."""

import logging
from dataclasses import dataclass
from typing import Any

from ai_agents.attachments.files import Attachments
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.types import FilePart, ToolCallPart, ToolResultPart
from ai_agents.runner.guarding import RunGuards
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.base import ToolContext
from ai_agents.tools.executor import ToolExecutor
from ai_agents.tools.toolset import ToolSet

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolCaller:
    """Runs the tool calls of one run, and handles their results. Without `attachments` long results are not kept."""

    owned: OwnedRun
    executor: ToolExecutor
    attachments: Attachments | None
    guards: RunGuards | None

    async def run(self, call: ToolCallPart, tools: ToolSet) -> ToolResultPart:
        """The result of a call; a failure is a result, too."""
        context = ToolContext(self.owned.id, self.owned.thread_id, self.owned.user_id)
        return await self.executor.run(call, context, tools, handler=self)

    async def judge_result(self, value: Any) -> Any:
        """The allowed part of a result. Raises `ToolError` for a blocked one."""
        return value if self.guards is None else await self.guards.judge_result(value)

    async def keep_result(self, tool: str, text: str) -> FilePart | None:
        """A file of the user with a tool's whole result; None where it cannot be stored."""
        if self.attachments is None:
            return None
        try:
            return await self.attachments.add_text(self.owned.user_id, f"{tool.replace('/', '-')[:64]}.txt", text)
        except AIAgentsError:
            facts = {"run_id": self.owned.id, "tool": tool}
            _log.warning("a tool's result could not be kept", exc_info=True, extra=facts)
            return None

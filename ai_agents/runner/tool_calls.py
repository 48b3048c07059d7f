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
    """Runs the tool calls of one run. Without `attachments` the rest of a long result is lost."""

    owned: OwnedRun
    executor: ToolExecutor
    attachments: Attachments | None

    async def run(self, call: ToolCallPart, tools: ToolSet, guards: RunGuards | None) -> ToolResultPart:
        """The result of a call; a failure is a result, too."""
        context = ToolContext(self.owned.id, self.owned.thread_id, self.owned.user_id)

        async def keep(text: str) -> FilePart | None:
            return await self._keep(call.name, text)

        judge = None if guards is None else guards.judge_result
        return await self.executor.run(call, context, tools, judge=judge, keep=keep)

    async def _keep(self, tool: str, text: str) -> FilePart | None:
        """A file of the user with a tool's whole result; None where it cannot be stored."""
        if self.attachments is None:
            return None
        try:
            return await self.attachments.add_text(self.owned.user_id, f"{tool.replace('/', '-')[:64]}.txt", text)
        except AIAgentsError:
            facts: dict[str, Any] = {"run_id": self.owned.id, "tool": tool}
            _log.warning("a tool's result could not be kept", exc_info=True, extra=facts)
            return None

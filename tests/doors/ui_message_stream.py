"""A reader of UI message streams that is as strict as the AI SDK's.

Source: npm `ai` 6.0.326, 7.0.173: `ui-message-chunks.ts`, `process-ui-message-stream.ts` (read 2026-11).
"""

import json
from typing import Any

_EVERY_VERSION = {
    "start", "start-step", "finish-step", "finish", "abort", "error", "text-start", "text-delta", "text-end",
    "reasoning-start", "reasoning-delta", "reasoning-end", "tool-input-start", "tool-input-available",
    "tool-approval-request", "tool-output-available", "tool-output-error", "tool-output-denied", "message-metadata",
}  # fmt: skip
_VERSION_7 = {"reset-step"}


class UiMessage:
    """The assistant's message of a page, and what the page knows of its state."""

    def __init__(self, version: int, message: "UiMessage | None" = None) -> None:
        """With `message` the stream goes on with it."""
        self.version = version
        self.id: str = message.id if message else ""
        self.parts: list[dict[str, Any]] = message.parts if message else []
        self.end: dict[str, Any] = {}
        self.chunks: list[dict[str, Any]] = []
        self._open: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self, stream: str) -> "UiMessage":
        """Take a whole stream."""
        lines = [line for line in stream.split("\n") if line and not line.startswith(":")]
        assert lines[-1] == "data: [DONE]", lines[-1]
        for line in lines[:-1]:
            assert line.startswith("data: "), line
            assert not self.end, "something comes after the end"
            self._take(json.loads(line.removeprefix("data: ")))
        assert self.end, "the stream has no end"
        assert not self._open, self._open
        return self

    def _take(self, chunk: dict[str, Any]) -> None:
        self.chunks.append(chunk)
        kind = chunk["type"]
        assert kind in _EVERY_VERSION | (_VERSION_7 if self.version == 7 else set()), kind
        name = kind.partition("-")[0]
        match kind:
            case "start":
                if self.id and self.id != chunk["messageId"]:
                    self.parts.clear()
                self.id = chunk["messageId"]
            case "start-step":
                self.parts.append({"type": "step-start"})
            case "reset-step":
                start = max(index for index, part in enumerate(self.parts) if part["type"] == "step-start")
                del self.parts[start + 1 :]
                self._open.clear()
            case "text-start" | "reasoning-start":
                part = self._open[name, chunk["id"]] = {"type": name, "text": ""}
                self.parts.append(part)
            case "text-delta" | "reasoning-delta":
                self._open[name, chunk["id"]]["text"] += chunk["delta"]
            case "text-end" | "reasoning-end":
                del self._open[name, chunk["id"]]
            case "finish" | "abort" | "error":
                self.end = chunk
            case _:
                self._take_tool(kind, chunk)

    def _take_tool(self, kind: str, chunk: dict[str, Any]) -> None:
        match kind:
            case "tool-input-start":
                self.parts.append({**chunk, "type": "dynamic-tool", "state": "input-streaming"})
            case "tool-input-available":
                self._tool(chunk).update(state="input-available", input=chunk["input"])
            case "tool-approval-request":
                self._tool(chunk).update(state="approval-requested", approval={"id": chunk["approvalId"]})
            case "tool-output-available" | "tool-output-error" | "tool-output-denied":
                more = {key: chunk[key] for key in ("output", "errorText") if key in chunk}
                self._tool(chunk).update(state=kind.removeprefix("tool-"), **more)

    def _tool(self, chunk: dict[str, Any]) -> dict[str, Any]:
        (found,) = (part for part in self.parts if part.get("toolCallId") == chunk["toolCallId"])
        return found

    @property
    def text(self) -> str:
        """All its text."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Its calls."""
        return [part for part in self.parts if part["type"] == "dynamic-tool"]

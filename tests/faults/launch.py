"""The service with tools that only tests have: `python -m tests.faults.launch serve --port 8000`.

`bump` and `safe_bump` count at the server that FAULTS_COUNTER_URL names; the one may not be run twice, the other may.
"""

import asyncio
import os
from urllib.parse import urlsplit

from ai_agents import Tool, ToolDefinition, register_tool
from app import cli


class Bump(Tool):
    """Counts a key at the counter server."""

    def __init__(self, name: str, *, retry_safe: bool) -> None:
        self.name = name
        self.retry_safe = retry_safe
        self._port = urlsplit(os.environ.get("FAULTS_COUNTER_URL", "")).port or 0

    def get_definition(self) -> ToolDefinition:
        """It takes the key."""
        parameters = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
        return ToolDefinition(self.name, "Counts a key, once for each call.", parameters)

    async def execute(self, key: str) -> str:
        """How often the key was counted."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"POST /{key} HTTP/1.1\r\nhost: counter\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        return f"counted {answer.decode().splitlines()[-1]}"


def main() -> None:
    """Register the tools and run the command line."""
    register_tool(Bump("bump", retry_safe=False))
    register_tool(Bump("safe_bump", retry_safe=True))
    cli.main()


if __name__ == "__main__":
    main()

"""Files in tests: uploading them, and a provider that sees them."""

from pathlib import Path
from typing import Any

import httpx

from ai_agents.attachments.folder import ID_FILE
from ai_agents.core.types import FilePart, ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.files import ANY_FILES
from ai_agents.testing import ScriptedProvider

MIB = 1024 * 1024


async def upload(
    client: httpx.AsyncClient, content: bytes = b"Hello", name: str = "a.txt", media_type: str = "", **headers: str
) -> httpx.Response:
    """Send a file as a browser does."""
    part = (name, content, media_type) if media_type else (name, content)
    return await client.post("/files", files={"file": part}, headers=headers)


async def uploaded(client: httpx.AsyncClient, content: bytes = b"Hello", name: str = "a.txt") -> dict[str, Any]:
    """A file of the client's user."""
    response = await upload(client, content, name)
    assert response.status_code == 201, response.text
    file: dict[str, Any] = response.json()
    return file


class SeeingProvider(ScriptedProvider):
    """A provider whose models accept every file, and which records its requests."""

    name = "scripted"

    def capabilities(self, model: str) -> Capabilities:
        """All files."""
        return Capabilities(files=ANY_FILES)


def files_in(request: ModelRequest) -> list[FilePart]:
    """The files of a request."""
    return [part for message in request.messages for part in message.parts if isinstance(part, FilePart)]


def kept_in(directory: Path) -> list[Path]:
    """Every file in a folder, but for the folder's id."""
    return [path for path in directory.rglob("*") if path.is_file() and path.name != ID_FILE]

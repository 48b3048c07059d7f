"""Files and images in the messages of doors: stored as attachments, and fetched only through the outbound guard."""

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes, urlsplit

from ai_agents.core.exceptions import AIAgentsError, FileTooLarge, InvalidRequest, UnsupportedFile
from ai_agents.core.types import FilePart, Loc, TextPart
from ai_agents.tools.outbound import OutboundFailed, OutboundRefused
from app.container import Container
from app.services.identity import Principal

_DATA = re.compile(r"data:(?P<type>[^;,]*)(?P<parameters>(;[^;,]*)*),", re.DOTALL)
_NAMES = {"image/png": "image.png", "image/jpeg": "image.jpg", "image/gif": "image.gif", "image/webp": "image.webp"}
_FETCH_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Media:
    """A file in a request, at `loc`: by the id of one of ours, or by an address, which may be a `data:` URI.

    Only an image may have another address than `data:`; a file may be plain Base64.
    """

    loc: Loc
    file_id: str | None = None
    url: str = ""
    filename: str | None = None
    is_image: bool = False


class FileKeeper:
    """Stores the files of one request for a user: `async with`, so that they are removed if the request is refused.

    With `expires_at` they are temporary, and count for no user.
    """

    def __init__(self, container: Container, user: Principal, *, expires_at: str | None = None) -> None:
        self._container = container
        self._user = user
        self._expires_at = expires_at
        self._stored: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _at: object) -> None:
        if isinstance(error, AIAgentsError):
            await self._discard()

    async def keep(self, parts: Sequence[TextPart | Media]) -> list[TextPart | FilePart]:
        """The parts with stored files. Raises `InvalidRequest`, which names the place, and `QuotaExceeded`."""
        return [part if isinstance(part, TextPart) else await self._keep(part) for part in parts]

    async def _discard(self) -> None:
        for file_id in self._stored:
            with suppress(AIAgentsError):  # what stays is the user's, like any file that was uploaded
                await self._container.attachments.delete(file_id, only_unused=True)

    async def _keep(self, media: Media) -> FilePart:
        if media.file_id is not None:
            return FilePart(media.file_id, "", "", 0)
        try:
            declared, content = await self._content(media)
            name = media.filename or _NAMES.get(declared, "file")
            return FilePart(await self._store(name, declared, content), "", "", 0)
        except (InvalidRequest, UnsupportedFile, FileTooLarge) as error:
            raise InvalidRequest(str(error), loc=media.loc) from error
        except (OutboundRefused, OutboundFailed) as error:
            raise InvalidRequest(f"The image could not be fetched. {error}", loc=media.loc) from error

    async def _content(self, media: Media) -> tuple[str, bytes]:
        """The declared media type, and the content."""
        match = _DATA.match(media.url)
        if match is not None:
            return _decoded(match, media)
        if not media.is_image:
            return "", _from_base64(media.url)
        if urlsplit(media.url).scheme not in ("http", "https"):
            raise InvalidRequest("An image is a `data:` URI or has an address.", loc=media.loc)
        answer = await self._container.tools.outbound.request("GET", media.url, timeout_s=_FETCH_WITHIN_S)
        if answer.status != 200 or answer.cut:
            raise InvalidRequest("The server of the image did not give it.", loc=media.loc)
        return answer.media_type, answer.body

    async def _store(self, name: str, declared: str, content: bytes) -> str:
        attachments, user = self._container.attachments, self._user
        limits = self._container.limits.of(user.user_id, is_admin=user.is_admin)
        with attachments.receive() as incoming:
            incoming.write(content)
            inspected = await attachments.inspect(
                await incoming.finish(), name, declared=declared or None, user_id=user.user_id
            )
            async with attachments.kept(inspected):
                stored = await attachments.record(
                    user.user_id, inspected, within=user.within, limits=limits, expires_at=self._expires_at
                )
        self._stored.append(stored["id"])
        return stored["id"]


def _decoded(match: re.Match[str], media: Media) -> tuple[str, bytes]:
    """What a `data:` URI holds (RFC 2397)."""
    rest = media.url[match.end() :]
    is_base64 = match["parameters"].endswith(";base64")
    return match["type"].lower(), _from_base64(rest) if is_base64 else unquote_to_bytes(rest)


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidRequest("This is neither a `data:` URI nor Base64.") from None

"""Removing files whose bytes may be out of this process's reach: what was not seen to be gone is never counted."""

from ai_agents.attachments.files import Attachments
from ai_agents.core.exceptions import BlobMissing, FileNotFound, StorageUnavailable

_NO_STORAGE = "This process has no storage of files."


class FileRemoval:
    """Removes one file after the other. A file that cannot be removed holds up no other one, and `check` reports it."""

    def __init__(self, attachments: Attachments | None) -> None:
        self._attachments = attachments
        self._left: list[str] = []
        self._reason: str | None = None if attachments is not None else _NO_STORAGE
        self._is_down = attachments is None

    async def remove(self, file_id: str) -> bool:
        """Whether this call removed the file with its bytes. Raises `Conflict` where a message refers to it."""
        if self._attachments is None or self._is_down:
            self._left.append(file_id)
            return False
        try:
            await self._attachments.delete(file_id)
        except FileNotFound:
            return False
        except StorageUnavailable as error:
            self._left.append(file_id)
            self._reason = self._reason or str(error)
            # A storage that does not answer is not asked again for each file; a missing content says nothing of others.
            self._is_down = not isinstance(error, BlobMissing)
            return False
        return True

    def check(self) -> None:
        """Raise `StorageUnavailable` if a file is left, with the reason of the first."""
        if self._left:
            raise StorageUnavailable(
                f"{len(self._left)} files could not be removed, the first is {self._left[0]}: {self._reason} Every "
                "process needs the same folder of files or the same bucket."
            )

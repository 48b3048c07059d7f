"""Secrets at rest: they are encrypted in the database, with a key that is not in the database."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.extras import require
from ai_agents.core.types import JsonObject

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

SHORTEST_KEY = 16
# Part of the derivation, so that keys for another purpose would be different.
_PURPOSE = b"sealed headers"


class SealBroken(Exception):
    """The text was sealed with another key, or is not sealed."""


class Sealer:
    """Encrypts with the first key, and decrypts what any of the keys has encrypted."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises `InvalidRequest` for a key that is too short."""
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise InvalidRequest(f"An encryption key has at least {SHORTEST_KEY} characters.")
        self._keys = tuple(keys)

    def seal(self, secret: Mapping[str, str]) -> str:
        """The secret, encrypted."""
        return self._fernet.encrypt(json.dumps(dict(secret)).encode()).decode()

    def open(self, sealed: str) -> JsonObject:
        """The decrypted secret. Raises `SealBroken`."""
        require("cryptography")
        from cryptography.fernet import InvalidToken

        try:
            opened: JsonObject = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError) as error:
            raise SealBroken from error
        return opened

    @cached_property
    def _fernet(self) -> "MultiFernet":
        require("cryptography")
        from cryptography.fernet import Fernet, MultiFernet

        derived = (hashlib.blake2b(key.encode(), digest_size=32, person=_PURPOSE).digest() for key in self._keys)
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])

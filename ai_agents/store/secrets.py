"""Secrets that are shown once, as `<scheme><id>_<secret>`. The id finds the row, which has a hash of the secret.

The secret has 256 random bits and cannot be guessed, so a plain SHA-256 is enough.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from ai_agents.core.ids import new_id

_ID_LENGTH = 22
_SECRET_LENGTH = 43


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A new secret. `text` is what the user gets; `prefix` is its beginning, without the secret itself."""

    id: str
    prefix: str
    text: str = field(repr=False)
    secret_hash: str = field(repr=False)


def make_secret(scheme: str, secret_id: str | None = None) -> NewSecret:
    """A new secret, for an id that has one already where it is given. `scheme` shows its kind, such as `aia_`."""
    new, secret = secret_id or new_id(), secrets.token_urlsafe(32)
    prefix = scheme + base64.urlsafe_b64encode(UUID(new).bytes).decode().rstrip("=")
    return NewSecret(new, prefix, f"{prefix}_{secret}", _hash(secret))


def id_of(text: str, scheme: str) -> str | None:
    """The id in a secret; None if the text is not well-formed."""
    prefix_length = len(scheme) + _ID_LENGTH
    if len(text) != prefix_length + 1 + _SECRET_LENGTH or not text.isascii():
        return None
    if not text.startswith(scheme) or text[prefix_length] != "_":
        return None
    encoded = text[len(scheme) : prefix_length]
    try:
        decoded = base64.b64decode(encoded + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    # The last character has unused bits: only one of its forms is the text that was shown.
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != encoded:
        return None
    return str(UUID(bytes=decoded))


def matches(text: str, secret_hash: str) -> bool:
    """Whether a well-formed secret has this hash."""
    return hmac.compare_digest(secret_hash, _hash(text[-_SECRET_LENGTH:]))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

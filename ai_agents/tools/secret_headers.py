"""What a server was sent in secret and says again: a model need not see it."""

from collections.abc import Mapping

_HIDDEN = "[redacted]"
# A shorter value is found by chance in many answers.
_SHORTEST = 8


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """The text without the values of the headers, whole or without their scheme (`Bearer …`)."""
    for value in headers.values():
        for secret in sorted({value, value.rpartition(" ")[2]}, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, _HIDDEN)
    return text

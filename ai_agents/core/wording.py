"""Parts of sentences that depend on how many things there are, and texts of others as a terminal may show them."""

import re
from collections.abc import Collection

# What moves the cursor, changes colours, rings or turns the direction of writing. Tabs and line ends stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: `1 file`, `2 files`. Without `plural`, that is the noun with an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def there_are(names: Collection[str]) -> str:
    """What there is, for the end of a sentence that says what there is not."""
    if not names:
        return "there are none"
    if len(names) == 1:
        return f"there is only {next(iter(names))}"
    return f"there are {', '.join(names)}"


def harmless(text: str) -> str:
    """A text of others, without what would command a terminal."""
    return _CONTROL.sub("", text)

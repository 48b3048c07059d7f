"""Parts of sentences that depend on how many things there are."""

from collections.abc import Collection


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

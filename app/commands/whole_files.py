"""Files that have their name once they are whole."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file to write, for this user alone; it replaces `path` at the end of the block, and is gone after an error.

    Raises `OSError` with `path` as its file name.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            error.filename = str(path)
            raise
        with os.fdopen(descriptor, "wb") as file:
            yield file
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

"""Files."""

from app.schemas.common import Id, Read


class FileRead(Read):
    """A file. Its type is told from its content."""

    id: Id
    filename: str
    media_type: str
    size_bytes: int
    sha256: str

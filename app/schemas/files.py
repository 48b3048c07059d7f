"""Files."""

from app.schemas.common import Id, Read


class FileRead(Read):
    """A file. The service finds its type from its content."""

    id: Id
    filename: str
    media_type: str
    size_bytes: int
    sha256: str

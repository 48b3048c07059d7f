"""The root of the tree of errors."""

from typing import ClassVar


class AIAgentsError(Exception):
    """Root of the tree. The message is a sentence that may be shown to a client."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message or (self.__doc__ or self.code).partition("\n")[0])
        self.retry_after_s = retry_after_s

"""The providers that agents may name, and the state of the service."""

from typing import Literal

from pydantic import Field

from app.schemas.common import Read, ReadPage


class ProviderRead(Read):
    """A provider that agents may name."""

    name: str
    configured: bool = Field(description="Whether it has what it needs, such as a key.")
    default_model: str | None
    default: bool = Field(description="Whether agents that name no provider use this one.")


class ProviderPage(ReadPage[ProviderRead]):
    """Providers, by name."""


class Health(Read):
    """The state of the service."""

    status: Literal["ok"]

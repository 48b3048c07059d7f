"""What agents can be made of here, and how the service is."""

from typing import Literal

from pydantic import Field

from app.schemas.common import Page, Read


class ProviderRead(Read):
    """A provider that agents may name."""

    name: str
    configured: bool = Field(description="Whether it has what it needs, a key for one.")
    default_model: str | None
    default: bool = Field(description="Whether agents that name no provider have this one.")


class ProviderPage(Page[ProviderRead]):
    """Providers, by name."""


class Health(Read):
    """How it is."""

    status: Literal["ok"]

"""Where users come from who have no API key."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from app.settings.sources import PREFIX
from app.settings.values import AdminClaim, Issuer


class IdentitySettings(BaseSettings):
    """Where users come from who have no API key: [an issuer](access.md#users-of-an-openid-connect-issuer)."""

    oidc_issuer: Issuer | None = Field(
        None,
        max_length=200,
        description="The issuer whose JWTs are taken, such as `https://login.example.com/realm`. If it is not set, "
        "none is taken.",
    )
    oidc_audience: str | None = Field(
        None, description="The audience (`aud`) of these JWTs. It is set together with the issuer."
    )
    oidc_client_id: str | None = Field(
        None,
        min_length=1,
        description="The page's client at this issuer, a public one (no secret): with it people sign in to the page "
        "there.",
    )
    oidc_admin_claim: AdminClaim | None = Field(
        None,
        description="What admins' JWTs have, such as `groups=ai-agents-admins`, or the name of a claim that is true. "
        "If it is not set, no JWT is an admin's.",
    )

    @model_validator(mode="after")
    def _names_its_audience(self) -> Self:
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError(f"{PREFIX}OIDC_CLIENT_ID is a client of {PREFIX}OIDC_ISSUER, which is not set")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE are set together")
        return self

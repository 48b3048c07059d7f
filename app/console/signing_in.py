"""What the page is told of the issuer at which people sign in, and which hosts it may ask for that."""

import html
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.console.assets import Asset
from app.settings import Settings

if TYPE_CHECKING:
    from app.oidc.verifier import JwtVerifier


@dataclass(frozen=True, slots=True)
class SignInIssuer:
    """An issuer, the page's client there (a public one, without a secret), and the audience that tokens are for."""

    issuer: str
    client_id: str
    audience: str


def issuer_of(settings: Settings) -> SignInIssuer | None:
    """The issuer for the page; None where people sign in with keys alone."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None or settings.oidc_audience is None:
        return None
    return SignInIssuer(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_audience)


def origins_of(issuer: SignInIssuer, jwts: "JwtVerifier | None") -> list[str]:
    """The origins that the page asks: the issuer's, and that of its tokens where they come from another one."""
    addresses = [issuer.issuer, jwts.keys.token_endpoint if jwts is not None else None]
    parts = [urlsplit(address) for address in addresses if address is not None]
    return sorted({f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in {"http", "https"}})


@lru_cache(maxsize=4)
def with_issuer(page: Asset, issuer: SignInIssuer) -> Asset:
    """The page with the issuer in a `<meta>`: the policy allows no inline scripts."""
    told = html.escape(json.dumps(asdict(issuer)), quote=True)
    meta = f'<meta name="ai-agents-oidc" content="{told}">\n</head>'
    return Asset(page.media_type, page.content.decode().replace("</head>", meta, 1).encode())

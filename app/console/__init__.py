"""The pages: the application for people at `/`, the API's operations at `/docs`. They load nothing from other hosts.

Assets are under `/assets/<version>/…`, where browsers keep them for ever: another version has other addresses. Without
the version they are looked at anew each time, by their ETag.
"""

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.console.assets import Asset, modules_of, read_assets, version_of
from app.console.signing_in import issuer_of, origins_of, with_issuer

router = APIRouter(include_in_schema=False)
_ASSETS = read_assets()
_VERSION = version_of(_ASSETS)
# Trusted Types: where the browser knows them, no script can make HTML, scripts or their addresses of a text.
_SAME_ORIGIN = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICY = f"{_SAME_ORIGIN}; require-trusted-types-for 'script'; trusted-types 'none'"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "vary": "accept-encoding",
}
_LOOKED_AT_ANEW = "no-cache"
_KEPT = "public, max-age=31536000, immutable"


def _with_addresses(page: Asset, entry: str) -> Asset:
    """The page with the version in the addresses of its assets, and with all modules that its entry starts with."""
    preloads = "".join(f'<link rel="modulepreload" href="/assets/{name}">\n' for name in modules_of(_ASSETS, entry))
    text = page.content.decode().replace('<script type="module"', f'{preloads}<script type="module"')
    return Asset(page.media_type, text.replace("/assets/", f"/assets/{_VERSION}/").encode())


_PAGES = {
    "/": _with_addresses(_ASSETS["index.html"], "js/main.js"),
    "/docs": _with_addresses(_ASSETS["docs.html"], "js/docs.js"),
}


@router.get("/")
async def get_page(request: Request) -> Response:
    """The page for people. Where it signs in at an issuer, it may ask that issuer, and no other host."""
    issuer = issuer_of(request.app.state.settings)
    if issuer is None:
        return await _answer(request, _PAGES["/"])
    origins = " ".join(origins_of(issuer, request.app.state.container.jwts))
    policy = _POLICY.replace("connect-src 'self'", f"connect-src 'self' {origins}")
    return await _answer(request, with_issuer(_PAGES["/"], issuer), policy=policy)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The operations of the API."""
    # Swagger UI makes HTML of the document's Markdown, which is the service's own: docs/decisions/0040.
    return await _answer(request, _PAGES["/docs"], policy=_SAME_ORIGIN)


@router.get("/assets/{name:path}")
async def get_asset(request: Request, name: str) -> Response:
    """A part of a page. One of another version is not here any more."""
    version, _, rest = name.partition("/")
    asset, kept = (_ASSETS.get(rest), True) if version == _VERSION else (_ASSETS.get(name), False)
    if asset is None or asset.media_type.startswith("text/html"):
        raise HTTPException(404)
    return await _answer(request, asset, kept=kept)


async def _answer(request: Request, asset: Asset, *, kept: bool = False, policy: str = _POLICY) -> Response:
    headers: Mapping[str, str] = {
        **_HEADERS,
        "content-security-policy": policy,
        "etag": asset.etag,
        "cache-control": _KEPT if kept else _LOOKED_AT_ANEW,
    }
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    compressed = None
    if "gzip" in request.headers.get("accept-encoding", ""):
        # The first time it is made, which for the largest takes a tenth of a second.
        compressed = await asyncio.to_thread(getattr, asset, "compressed")
    if compressed is None:
        return Response(asset.content, media_type=asset.media_type, headers=headers)
    return Response(compressed, media_type=asset.media_type, headers={**headers, "content-encoding": "gzip"})

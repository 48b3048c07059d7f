"""The pages: the application for people at `/`, the API's operations at `/docs`. They load nothing from other hosts.

Assets are under `/assets/<version>/…`, where browsers keep them for ever: another version has other addresses. Without
the version they are looked at anew each time, by their ETag.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.console.assets import Asset, modules_of, read_assets, version_of

router = APIRouter(include_in_schema=False)
_ASSETS = read_assets()
_VERSION = version_of(_ASSETS)
# Trusted Types: where the browser knows them, no script can make HTML, scripts or their addresses of a text.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "vary": "accept-encoding",
}
_LOOKED_AT_ANEW = "no-cache"
_KEPT = "public, max-age=31536000, immutable"


def _with_addresses(page: Asset) -> Asset:
    """The page with the version in the addresses of its assets, and with all modules that it starts with."""
    preloads = "".join(
        f'<link rel="modulepreload" href="/assets/{name}">\n' for name in modules_of(_ASSETS, "js/main.js")
    )
    text = page.content.decode().replace('<script type="module"', f'{preloads}<script type="module"')
    return Asset(page.media_type, text.replace("/assets/", f"/assets/{_VERSION}/").encode())


_PAGES = {"/": _with_addresses(_ASSETS["index.html"]), "/docs": _ASSETS["docs.html"]}


@router.get("/")
async def get_page(request: Request) -> Response:
    """The page for people."""
    return _answer(request, _PAGES["/"])


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """The operations of the API."""
    return _answer(request, _PAGES["/docs"])


@router.get("/assets/{name:path}")
async def get_asset(request: Request, name: str) -> Response:
    """A part of a page. One of another version is not here any more."""
    version, _, rest = name.partition("/")
    asset, kept = (_ASSETS.get(rest), True) if version == _VERSION else (_ASSETS.get(name), False)
    if asset is None or asset.media_type.startswith("text/html"):
        raise HTTPException(404)
    return _answer(request, asset, kept=kept)


def _answer(request: Request, asset: Asset, *, kept: bool = False) -> Response:
    headers: Mapping[str, str] = {
        **_HEADERS,
        "etag": asset.etag,
        "cache-control": _KEPT if kept else _LOOKED_AT_ANEW,
    }
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    compressed = asset.compressed if "gzip" in request.headers.get("accept-encoding", "") else None
    if compressed is None:
        return Response(asset.content, media_type=asset.media_type, headers=headers)
    return Response(compressed, media_type=asset.media_type, headers={**headers, "content-encoding": "gzip"})

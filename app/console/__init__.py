"""The pages: a start page, and the operations of the API from /openapi.json. They load nothing from other hosts."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter()
_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def _page(name: str, media_type: str) -> Response:
    return Response((_HERE / name).read_bytes(), media_type=media_type, headers=_HEADERS)


_INDEX = _page("index.html", "text/html")
_DOCS = _page("docs.html", "text/html")
_ASSETS = {"docs.js": _page("docs.js", "text/javascript"), "style.css": _page("style.css", "text/css")}


@router.get("/")
async def get_page() -> Response:
    """The start page."""
    return _INDEX


@router.get("/docs")
async def get_docs() -> Response:
    """The page with the operations of the API."""
    return _DOCS


@router.get("/assets/docs.js")
async def get_docs_script() -> Response:
    """The script of the page with the operations."""
    return _ASSETS["docs.js"]


@router.get("/assets/style.css")
async def get_style() -> Response:
    """The style sheet of the pages."""
    return _ASSETS["style.css"]

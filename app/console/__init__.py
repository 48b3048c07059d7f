"""The pages: a start page, and the operations of the API from /openapi.json. They load nothing from other hosts."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
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


_PAGES = {
    "/": ("index.html", "text/html"),
    "/docs": ("docs.html", "text/html"),
    "/assets/docs.js": ("docs.js", "text/javascript"),
    "/assets/style.css": ("style.css", "text/css"),
}


def _add_page(path: str, name: str, media_type: str) -> None:
    page = Response((_HERE / name).read_bytes(), media_type=media_type, headers=_HEADERS)

    async def get_page() -> Response:
        return page

    router.add_api_route(path, get_page)


for _path, (_name, _media_type) in _PAGES.items():
    _add_page(_path, _name, _media_type)

"""Files, to be sent along with messages."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from ai_agents.attachments.kinds import DOCX, IMAGES, PDF, TEXTS
from app.authentication import AppContainer, ScopedUser
from app.openapi import BODY, ONCE, UPLOAD, USER, failures, headers, request_body
from app.replays import IdempotencyKey, sent_key
from app.responses import Download, JsonResponse, created, no_content
from app.schemas.answers.files import FileRead
from app.services import files
from app.strict_routes import StrictRoute
from app.uploads import MEDIA_TYPE, fingerprint, read_upload

router = APIRouter(route_class=StrictRoute, tags=["files"])
_CONTENT = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in (*IMAGES, PDF, DOCX, *TEXTS)
}


@router.post(
    "/files",
    status_code=201,
    response_model=FileRead,
    response_description="The new file.",
    responses={201: headers("Location"), **failures(*USER, *BODY, *ONCE, "not_found", "quota_exceeded", "overloaded")},
    openapi_extra=request_body(MEDIA_TYPE, UPLOAD),
)
async def create_file(request: Request, user: ScopedUser, container: AppContainer, key: IdempotencyKey) -> Response:
    """Upload a file: a png, jpeg, gif or webp image, a pdf, a docx, or text (plain, markdown, csv, json).

    The service finds its type from its content. Messages refer to it by its id.
    """
    room = await files.room_for_file(container, user, key)
    async with read_upload(request, room) as upload:
        sent = sent_key(request, key, fingerprint(request, upload) if key else "")
        file = await files.create_file(container, user, upload, sent=sent)
    return created(file, f"/files/{file['id']}")


@router.get(
    "/files/{file_id}",
    response_model=FileRead,
    response_description="The file.",
    responses=failures(*USER, "not_found"),
)
async def get_file(file_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """The facts of a file that the user uploaded, or that is attached in a thread that they see."""
    return JsonResponse(await files.get_file(container, user, file_id))


@router.get(
    "/files/{file_id}/content",
    response_class=Download,
    status_code=200,
    response_description="The file, as a download.",
    responses={
        200: {"content": _CONTENT, **headers("Content-Disposition")},
        **failures(*USER, "not_found", "overloaded"),
    },
)
async def get_file_content(file_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """The content of a file. That of a deleted one is not found."""
    file, content = await files.read_content(container, user, file_id)
    return Download(file, content)


@router.delete(
    "/files/{file_id}",
    status_code=204,
    response_description="The file is deleted.",
    responses=failures(*USER, "not_found", "forbidden", "overloaded"),
)
async def delete_file(file_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """Delete a file with its content. Only its uploader may. Messages that refer to it say that it was `deleted`."""
    await files.delete_file(container, user, file_id)
    return no_content()

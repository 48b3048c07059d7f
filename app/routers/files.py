"""Files, to be sent along with messages."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.dependencies import AppContainer, IdempotencyKey, User
from app.downloads import Download
from app.responses import JsonResponse, created, no_content
from app.routers.documented import answer, download, problems
from app.schemas.files import FileRead
from app.services import files
from app.uploads import fingerprint, read_upload, takes_file

router = APIRouter(tags=["files"])


@router.post(
    "/files",
    status_code=201,
    responses={
        **answer(201, FileRead, "The new file.", headers=("Location",)),
        **problems("idempotency_key_reused", "overloaded"),
    },
)
@takes_file
async def create_file(request: Request, user: User, container: AppContainer, key: IdempotencyKey) -> Response:
    """Upload a file: a png, jpeg, gif or webp image, a pdf, a docx, or text (plain, markdown, csv, json).

    What it is is told from its content. Messages name it by its id.
    """
    async with read_upload(request) as upload:
        file = await files.create_file(container, user, upload, key=key, fingerprint=fingerprint(request, upload))
    return created(file, f"/files/{file['id']}")


@router.get("/files/{file_id}", responses=answer(200, FileRead, "The file."))
async def get_file(file_id: str, user: User, container: AppContainer) -> Response:
    """What a file is: one that the user uploaded, or that is attached in a thread that he may read."""
    return JsonResponse(await files.get_file(container, user, file_id))


@router.get("/files/{file_id}/content", responses={**download("The file, as a download."), **problems("overloaded")})
async def get_file_content(file_id: str, user: User, container: AppContainer) -> Response:
    """A file's content."""
    file, content = await files.read_content(container, user, file_id)
    return Download(file, content)


@router.delete(
    "/files/{file_id}",
    status_code=204,
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "conflict")},
)
async def delete_file(file_id: str, user: User, container: AppContainer) -> Response:
    """Delete a file. Only its uploader does, and only as long as no message refers to it."""
    await files.delete_file(container, user, file_id)
    return no_content()

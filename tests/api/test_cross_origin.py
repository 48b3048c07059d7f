"""Pages of other origins may call the service only if the operator names their origin."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from tests.api.service import make_thread, open_service, settings_for

PAGE = "https://chat.example.com"
OTHER = "https://evil.example.com"
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,idempotency-key"}


async def test_a_page_of_a_named_origin_may_call_and_sees_problems_too(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path, cors_origins=f"https://other.example.com, {PAGE}")
    async with open_service(settings) as service:
        alice = await service.user("alice")
        asked = await alice.options("/threads", headers={"origin": PAGE, **ASKED})
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert {"authorization", "idempotency-key"} <= set(asked.headers["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in asked.headers

        thread = await make_thread(alice)
        said = await alice.post(
            f"/threads/{thread['id']}/messages", json={"content": "Hello!", "stream": True}, headers={"origin": PAGE}
        )
        refused = await alice.get("/agents", headers={"origin": PAGE, "authorization": "Bearer wrong"})
        too_large = await alice.get("/agents", headers={"origin": PAGE, "x-padding": "x" * 40_000})

    assert "event: run.completed" in said.text
    assert [said.status_code, refused.status_code, too_large.status_code] == [200, 401, 413]
    for answer in (said, refused, too_large):
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origins", ["", PAGE])
async def test_a_page_of_any_other_origin_is_not_let_in(sqlite_url: str, tmp_path: Path, origins: str) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, cors_origins=origins)) as service:
        alice = await service.user("alice")
        asked = await alice.options("/threads", headers={"origin": OTHER, **ASKED})
        answer = await alice.get("/agents", headers={"origin": OTHER})
    assert asked.status_code in (400, 405)
    assert "access-control-allow-origin" not in {*asked.headers, *answer.headers}


async def test_every_origin_is_let_in_where_the_operator_says_so(sqlite_url: str, tmp_path: Path) -> None:
    async with open_service(settings_for(sqlite_url, tmp_path, cors_origins="*")) as service:
        answer = await (await service.anonymous()).get("/livez", headers={"origin": OTHER})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", ["chat.example.com", f"{PAGE}/", f"{PAGE}/page", "https://A.example.com", "null"])
def test_what_no_browser_sends_as_an_origin_is_refused_at_the_start(origins: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=origins)

"""What the tests of doors ask of answers."""

from typing import Any

import httpx


def check_openai_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that the answer is this error as OpenAI's clients read it; the error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert error["code"] == code
    assert error["message"]
    assert response.headers["x-request-id"]
    return error

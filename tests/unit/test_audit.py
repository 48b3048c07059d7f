"""What `make lint` says of advisories, and of a place where none can be asked for."""

import json
import subprocess
from typing import Any

import pytest

from scripts import audit

ADVISORY = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}
GOOD: dict[str, Any] = {"name": "good", "version": "1.0", "vulns": []}
BAD: dict[str, Any] = {"name": "bad", "version": "1.0", "vulns": [ADVISORY]}
SKIPPED: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    "told, status, said",
    [
        (json.dumps({"dependencies": [GOOD, SKIPPED]}), 0, "0 advisories for 1 packages, 1 packages not known there"),
        (json.dumps({"dependencies": [GOOD, BAD]}), 1, "bad 1.0: PYSEC-1, fixed in 2.0"),
        (json.dumps({"dependencies": [SKIPPED]}), 0, "was not run"),
        ("", 0, "was not run"),
    ],
)
def test_advisories_fail_and_silence_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, status: int, said: str
) -> None:
    done = subprocess.CompletedProcess([], 1, stdout=told, stderr="cannot connect")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    assert audit.main() == status
    assert said in capsys.readouterr().out


def test_a_database_that_does_not_answer_in_time_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("pip_audit", 60)

    monkeypatch.setattr(subprocess, "run", wait)

    assert audit.main() == 0
    assert "was not run" in capsys.readouterr().out

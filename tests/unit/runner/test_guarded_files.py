"""Files that are attached: what guardrails find in them reaches no model, and the file itself stays as it is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ai_agents import AgentStore, Attachments, DatabaseHandle, DiskStore, Guardrail, register_guardrail
from ai_agents.attachments import extraction
from ai_agents.core.exceptions import GuardrailBlocked
from ai_agents.core.types import FileContent, FilePart, JsonObject
from ai_agents.providers.base import Capabilities
from ai_agents.providers.openai_models import openai_files
from ai_agents.testing import ScriptedProvider
from tests.fakes.samples import pdf
from tests.unit.runner.conftest import USER
from tests.unit.runner.guarded import R, Stage, blocklist


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Guardrails do not depend on the database."""
    return sqlite_url


class Names(Guardrail):
    """Finds a name, and needs the whole text for it."""

    def __init__(self, name: str = "Ada") -> None:
        self._name = name

    async def check(self, text: str) -> bool | Sequence[tuple[int, int]]:
        starts = [start for start in range(len(text)) if text.startswith(self._name, start)]
        return [(start, start + len(self._name)) for start in starts] or True


register_guardrail("names", Names)
NAMES: JsonObject = {"type": "names", "stage": "input", "action": "redact"}


async def attached(conn: DatabaseHandle, blobs: DiskStore, stage: Stage, content: bytes, name: str) -> FileContent:
    """What a model is sent of a file."""
    file = await Attachments(conn, blobs).add(USER, name, content)
    await stage.runner.run(stage.thread_id, USER, "See.", attachments=[file["id"]])
    return last_content(stage)


def last_content(stage: Stage) -> FileContent:
    """How the newest request has the file."""
    parts = [part for message in stage.provider.requests[-1].messages for part in message.parts]
    (content,) = [part.content for part in parts if isinstance(part, FilePart)]
    assert content is not None
    return content


@pytest.fixture
def blobs(tmp_path: Path) -> DiskStore:
    """Where files are."""
    return DiskStore(tmp_path / "files")


@pytest.mark.parametrize("action", ["block", "redact"])
async def test_patterns_are_found_in_files(conn: DatabaseHandle, blobs: DiskStore, action: str) -> None:
    stage = await Stage(conn, "Read.", blobs=blobs).open(blocklist("secret", stage="input", action=action))
    if action == "block":
        with pytest.raises(GuardrailBlocked):
            await attached(conn, blobs, stage, b"the secret is here", "notes.txt")
        return
    assert (await attached(conn, blobs, stage, b"the secret is here", "notes.txt")).text == f"the {R} is here"


async def test_what_a_whole_text_guardrail_redacts_is_never_sent(conn: DatabaseHandle, blobs: DiskStore) -> None:
    stage = await Stage(conn, "Read.", "Again.", "And again.", blobs=blobs).open(NAMES, blocklist("x", stage="input"))
    sent = await attached(conn, blobs, stage, b"Ada and x and Ada", "notes.txt")
    assert sent.text == f"{R} and {R} and {R}"
    await stage.ask("And now?")
    assert last_content(stage).text == f"{R} and {R} and {R}"
    # It stays hidden when the agent's guardrails change later, as it does in a text.
    agent_id = (await stage.ask("One more."))["agent_id"]
    await AgentStore(conn).update(agent_id, {"guardrails": []})
    stage.provider.answers = ["Yes."]
    await stage.ask("Without?")
    assert last_content(stage).text == f"{R} and x and {R}"


async def test_the_last_of_a_thousand_spans_covers_the_rest(conn: DatabaseHandle, blobs: DiskStore) -> None:
    stage = await Stage(conn, "Read.", blobs=blobs).open(NAMES)
    sent = await attached(conn, blobs, stage, b"Ada b " * 1002 + b"h", "notes.txt")
    assert sent.text == f"{R} b " * 999 + f"{R} b h"


class TakesDocuments(ScriptedProvider):
    """A model that is given PDFs as they are."""

    def capabilities(self, model: str) -> Capabilities:
        """PDFs, of any number of pages."""
        return Capabilities(files=openai_files("gpt-4o"))


async def test_a_document_that_was_judged_whole_is_sent_as_it_is(conn: DatabaseHandle, blobs: DiskStore) -> None:
    stage = Stage(conn, "Read.", "Again.", blobs=blobs, provider=TakesDocuments)
    await stage.open(blocklist("secret", stage="input"))
    sent = await attached(conn, blobs, stage, pdf("Nothing but plans."), "paper.pdf")
    assert sent.form == "data"
    # Others have not.
    agent_id = (await stage.ask())["agent_id"]
    await AgentStore(conn).update(agent_id, {"guardrails": [blocklist("plans", stage="input")]})
    await stage.ask()
    assert (last_content(stage).form, last_content(stage).text.strip()) == ("text", f"Nothing but {R}.")


async def test_partly_judged_is_text(conn: DatabaseHandle, blobs: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_TEXT_CHARACTERS", 20)
    stage = Stage(conn, "Read.", blobs=blobs, provider=TakesDocuments)
    await stage.open(blocklist("secret", stage="input"))
    sent = await attached(conn, blobs, stage, pdf("Nothing but plans.", "A secret one."), "paper.pdf")
    assert sent.form == "text"
    assert "Nothing but plans." in sent.text
    assert "secret" not in sent.text


async def test_without_guardrails_a_document_is_sent_as_it_is(conn: DatabaseHandle, blobs: DiskStore) -> None:
    stage = await Stage(conn, "Read.", blobs=blobs, provider=TakesDocuments).open()
    assert (await attached(conn, blobs, stage, pdf("A secret."), "paper.pdf")).form == "data"


async def test_a_document_with_a_finding_is_sent_as_text(conn: DatabaseHandle, blobs: DiskStore) -> None:
    stage = await Stage(conn, "Read.", blobs=blobs, provider=TakesDocuments).open(NAMES)
    sent = await attached(conn, blobs, stage, pdf("Ada was here."), "paper.pdf")
    assert (sent.form, sent.text.strip()) == ("text", f"{R} was here.")

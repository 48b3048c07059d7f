"""The chat's parts that show nothing by themselves, in Chromium: the conversation as a value, and markdown."""

from pathlib import Path

import pytest

from tests.page.support.visits import Visits

CHECKS = Path(__file__).parent / "checks"


@pytest.mark.parametrize("part", ["conversation", "markdown"])
async def test_a_part_does_what_its_checks_say(visit: Visits, part: str) -> None:
    page = await visit(None)
    assert await page.evaluate((CHECKS / f"{part}.js").read_text()) == []

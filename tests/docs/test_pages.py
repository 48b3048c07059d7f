"""The pages refer to each other rightly."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_every_link_to_a_file_leads_to_one() -> None:
    broken = [
        (page.name, link)
        for page in PAGES
        for link in _LINK.findall(page.read_text())
        if "://" not in link and not link.startswith("/") and not (page.parent / link).exists()
    ]

    assert broken == []


def test_decisions_have_numbers_of_their_own_which_their_titles_repeat() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    numbers = [int(path.name[:4]) for path in decisions]

    assert numbers == list(range(1, len(decisions) + 1))
    assert [path.read_text().split(" ")[1] for path in decisions] == [f"{number}." for number in numbers]

"""The pages as a whole: the site has each, they refer to each other rightly, and no code on them is untested."""

import re
import shlex
from pathlib import Path

import pytest

from app.cli import COMMANDS
from app.commands.command import Group, build_parser
from app.settings import Settings
from app.settings.reading import variables_of
from scripts.check_site import faults_of
from tests.docs.examples import FENCE, NOT_RUN
from tests.docs.site import DOCS, OF_ROOT, PYTHON, QUICK_START, ROOT, SHELL, SHELL_OF_ITS_OWN, nav, page, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CHECKED_BY = "checked by "
# Variables that clients and examples read.
OF_PROGRAMS = {"AI_AGENTS_URL", "AI_AGENTS_KEY"}
# What people read and do not run.
_SHOWN = {"text", "none"}


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    titles = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in _HEADING.findall(prose(path)))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def test_every_link_leads_to_a_file_and_to_a_heading_of_it() -> None:
    anchors = {path: anchors_of(path) for path in pages()}
    broken = []
    for path in pages():
        for link in _LINK.findall(prose(path)):
            name, _, anchor = link.partition("#")
            if "://" in link or link.startswith(("/", "mailto:")):
                continue
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (anchor and anchor not in anchors[target]):
                broken.append((path.relative_to(ROOT).as_posix(), link))

    assert broken == []


def test_the_site_has_every_page_once() -> None:
    decisions = {path.name for path in (DOCS / "decisions").glob("[0-9]*.md")}
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.name not in decisions}

    named = nav()

    assert sorted(named) == sorted(there | {"examples.md"} | set(OF_ROOT.values()))


def test_each_page_begins_with_its_title_and_says_for_whom_it_is() -> None:
    for path in DOCS.glob("*.md"):
        title, intro = path.read_text(encoding="utf-8").split("\n\n")[:2]
        assert re.fullmatch(r"# .+", title), path.name
        assert re.search(r"\b[Ff]or those\s+who\b", intro), f"{path.name}: it does not say for whom it is"
        assert _HEADING.findall(prose(path)).count(title.removeprefix("# ")) == 1, path.name


def test_lists_stand_apart_from_the_text_before_them() -> None:
    # Other readers of Markdown than GitHub's show them as text.
    run_in = [
        (path.relative_to(ROOT).as_posix(), paragraph[:60])
        for path in pages()
        for paragraph in prose(path).split("\n\n")
        if re.search(r"^(?:- |1\. )", paragraph, re.MULTILINE) and re.match(r"[A-Za-z*`\[(]", paragraph.lstrip("\n"))
    ]

    assert run_in == []


def test_decisions_have_numbers_of_their_own_which_their_titles_repeat() -> None:
    decisions = sorted((DOCS / "decisions").glob("[0-9]*.md"))

    numbers = [int(path.name[:4]) for path in decisions]

    assert numbers == list(range(1, len(decisions) + 1))
    assert [path.read_text().split(" ")[1] for path in decisions] == [f"{number}." for number in numbers]


def run_on(path: Path) -> set[str]:
    """The languages whose blocks on a page are run."""
    if path.name in ("README.md", QUICK_START.name) and path.parent in (ROOT, DOCS):
        return {"sh", "python"}
    languages = {"sh"} if path.stem in (*SHELL, *SHELL_OF_ITS_OWN) else set()
    return languages | ({"python"} if path.stem in PYTHON else set()) if path.parent == DOCS else set()


def test_every_block_of_code_is_run_or_says_what_checks_it_or_why_not() -> None:
    untested = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^[ \t]+```", text, re.MULTILINE), f"{path.name}: a block stands at the line's beginning"
        run, shows_output = run_on(path), False
        assert len(list(FENCE.finditer(text))) == len(_BLOCK.findall(text)), f"{path.name}: a block names its language"
        for fence in FENCE.finditer(text):
            language, mark = fence["language"], fence["mark"] or ""
            follows, shows_output = shows_output, language == "sh" and language in run and not mark
            if mark.startswith(_CHECKED_BY):
                test = ROOT / mark.removeprefix(_CHECKED_BY).split()[0]
                assert path.name in test.read_text() or path.stem in test.read_text(), (path.name, mark)
            elif mark.startswith(NOT_RUN):
                assert len(mark) > len(NOT_RUN) + 10, (path.name, mark)
            elif not (language in run or language in _SHOWN or (follows and language == "json")):
                untested.append(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, fence.start()) + 1} {language}")

    assert untested == []


def test_every_command_that_the_pages_show_is_one_with_these_options() -> None:
    parser = build_parser(COMMANDS, description="")
    shown = []
    for path in pages():
        for fence in FENCE.finditer(path.read_text(encoding="utf-8")):
            if fence["language"] in ("sh", "console"):
                shown += re.findall(r"^(?:\$ )?(?:\.venv/bin/)?ai-agents ([^|>#\n]+)", fence["body"], re.MULTILINE)
    assert len(shown) > 10

    for command in shown:
        parser.parse_args(shlex.split(command))


def test_names_of_commands_targets_and_settings_in_the_text_are_real() -> None:
    commands = {
        each.name: {sub.name for sub in each.commands} if isinstance(each, Group) else None for each in COMMANDS
    }
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    settings = {variable for field in Settings.model_fields for variable in variables_of(field)}
    unknown: list[tuple[str, str]] = []
    for path in pages():
        # What was is told of in the changelog and in decisions, too.
        if path.name == "CHANGELOG.md" or path.parent.name == "decisions":
            continue
        text = path.read_text(encoding="utf-8")
        for first, second in re.findall(r"(?<!-n )\bai-agents ([a-z]+)(?: ([a-z]+)(?=[` ]))?[^`\n]*`", prose(path)):
            below = commands.get(first, set())
            if first not in commands or (below and second and second not in below):
                unknown.append((path.name, f"ai-agents {first} {second}"))
        unknown += [(path.name, f"make {name}") for name in re.findall(r"`make ([a-z-]+)", text) if name not in targets]
        names = set(re.findall(r"\bAI_AGENTS_[A-Z_]*[A-Z]\b", text))
        unknown += [(path.name, name) for name in sorted(names - settings - OF_PROGRAMS)]

    assert unknown == []


@pytest.mark.parametrize("name", [*SHELL, *SHELL_OF_ITS_OWN, *PYTHON])
def test_a_page_whose_code_is_run_is_there(name: str) -> None:
    assert page(name).is_file()


def test_a_site_that_asks_another_host_or_lacks_a_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "fine.css").write_text("a { background: url(data:image/svg+xml;x) }")
    (tmp_path / "fine.html").write_text(
        '<link rel="canonical" href="https://example.com"><link rel="stylesheet" href="fine.css">'
        '<a href="https://example.com">elsewhere</a><img src="data:image/png;base64,x">'
    )
    assert list(faults_of(tmp_path)) == []

    (tmp_path / "wrong.css").write_text('@import "https://fonts.example.com/a.css";')
    (tmp_path / "wrong.html").write_text(
        '<script src="//cdn.example.com/x.js"></script><img src="none.png"><pre class="mermaid">graph</pre>'
    )
    assert list(faults_of(tmp_path)) == [
        "wrong.html: asks //cdn.example.com/x.js",
        "wrong.html: none.png is missing",
        "wrong.html: a mermaid diagram, whose program would come from another host",
        "wrong.css: asks https://fonts.example.com/a.css",
    ]

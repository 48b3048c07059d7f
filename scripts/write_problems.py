"""Write docs/problems.md: every code of a problem as the code has it. `make openapi` does so; a test compares."""

from collections.abc import Iterator
from pathlib import Path

from ai_agents.core import exceptions
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.problems import STATUSES, problem_with
from app.problem_words import PROBLEMS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "problems.md"
_BEGIN = "<!-- What follows is written by `make openapi`. -->\n"


def render(page: str) -> str:
    """The page with the reference as it is now."""
    parts = [page.partition(_BEGIN)[0], _BEGIN]
    for status in sorted(set(STATUSES.values())):
        title = problem_with(next(code for code, its in STATUSES.items() if its == status), "")["title"]
        parts.append(f"\n## {status} {title}\n")
        parts += [_section(code) for code in sorted(STATUSES) if STATUSES[code] == status]
    return "".join(parts)


def _section(code: str) -> str:
    words = PROBLEMS[code]
    facts = [f"**When:** {words.when}", f"**What to do:** {words.do}"]
    if words.members:
        facts.append(f"**Also has:** {', '.join(f'`{member}`' for member in words.members)}")
    facts.append(f"**Send the same again:** {'yes, later' if words.again else 'no'}")
    if classes := [each.__name__ for each in classes_of(code)]:
        facts.append(f"**In the library:** {', '.join(f'`{name}`' for name in classes)}")
    return f"\n### {code}\n\n" + "".join(f"- {fact}\n" for fact in facts)


def classes_of(code: str) -> list[type[AIAgentsError]]:
    """The framework's errors with this code, as the tree has them."""

    def below(error: type[AIAgentsError]) -> Iterator[type[AIAgentsError]]:
        yield error
        for each in error.__subclasses__():
            yield from below(each)

    return [
        each for each in below(AIAgentsError) if each.code == code and each.__module__.startswith(exceptions.__name__)
    ]


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

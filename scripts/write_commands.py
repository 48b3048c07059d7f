"""Write the reference of docs/cli.md: the help of every command. `make openapi` does so; a test compares."""

from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from app.cli import COMMANDS, main
from app.commands.command import Group

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
_BEGIN = "<!-- What follows is written by `make openapi`. -->\n"


def render(page: str) -> str:
    """The page with the reference as it is now."""
    parts = [page.partition(_BEGIN)[0], _BEGIN]
    for each in COMMANDS:
        parts.append(f"\n## {each.name}\n")
        if isinstance(each, Group):
            parts.append(f"\n{each.summary}\n")
            for command in each.commands:
                name = f"{each.name} {command.name}"
                parts.append(f"\n### {name}\n\n{_help_of(name)}")
        else:
            parts.append(f"\n{_help_of(each.name)}")
    return "".join(parts)


def _help_of(name: str) -> str:
    with redirect_stdout(StringIO()) as shown, suppress(SystemExit):
        main([*name.split(), "--help"])
    return f"```text\n{shown.getvalue().strip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The command line `ai-agents`. What each command does is in `app/commands/`.

Each command imports what it needs when it runs, so that every command starts quickly.
"""

import os
import sys
from collections.abc import Sequence

from ai_agents.core.wording import harmless
from app.commands.agents import AGENTS
from app.commands.audit import AUDIT
from app.commands.backup import BACKUP, RESTORE
from app.commands.chat import CHAT
from app.commands.check import CHECK
from app.commands.command import (
    INTERRUPTED,
    WRONG_USE,
    Command,
    CommandFailed,
    Group,
    WrongUse,
    build_parser,
    sentence_of_os,
)
from app.commands.jobs import JOBS
from app.commands.keys import KEYS
from app.commands.moving import EXPORT, IMPORT
from app.commands.providers import PROVIDERS
from app.commands.secrets import SECRETS
from app.commands.serve import MIGRATE, SERVE, WORKER

COMMANDS: tuple[Command | Group, ...] = (
    SERVE, WORKER, MIGRATE, CHECK, KEYS, PROVIDERS, AGENTS, CHAT, JOBS, AUDIT, EXPORT, IMPORT, BACKUP, RESTORE, SECRETS,
)  # fmt: skip
_DESCRIPTION = "Agents on any provider, as a service."
_FIRST_STEPS = """\
First steps:
  ai-agents serve                    run the service; it prints its address
  ai-agents chat                     talk to it, in another terminal
  ai-agents keys create --user ada   an API key for a user
  ai-agents check                    say what is configured, and whether it works

`ai-agents COMMAND --help` says what a command does, with examples."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Ends the program with its exit code, unless that is 0."""
    try:
        try:
            code = _run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Its reader has enough. What is still to be written goes nowhere, or the end would report it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except WrongUse as error:
        print(harmless(str(error)), file=sys.stderr)
        sys.exit(WRONG_USE)
    except CommandFailed as error:
        # It may quote what a service or a file said.
        sys.exit(harmless(str(error)))
    except Exception as error:
        sentence = _sentence_of(error)
        if sentence is None:
            raise
        sys.exit(harmless(sentence))
    if code is not None:
        sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int | None:
    """The exit code of the command; None for success."""
    parser = build_parser(COMMANDS, description=_DESCRIPTION)
    parser.epilog = _FIRST_STEPS
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if hasattr(parsed, "run"):
        code: int | None = parsed.run(parsed)
        return code
    parsed.parser.print_help()
    # A group alone lacks its command; the program alone is a question.
    return None if parsed.parser is parser else WRONG_USE


def _sentence_of(error: Exception) -> str | None:
    """What to tell the person at the terminal; None for a fault of this program."""
    from ai_agents.core.exceptions import AIAgentsError

    if isinstance(error, OSError) and error.strerror is not None:
        return sentence_of_os(error)
    return str(error) if isinstance(error, AIAgentsError) else None


if __name__ == "__main__":
    main()

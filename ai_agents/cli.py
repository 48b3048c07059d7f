"""The command `ai-agents`, which starts the service of a checkout or of the image. The framework has no commands.

The service's package is called `app`, as many packages of other projects are: only the one beside this package counts.
"""

import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

# The first line of `app/__init__.py`: another project's `app` does not begin with it.
SERVICE_TITLE = "The HTTP service of AI Agents, thin over the framework."
_USAGE_ERROR = 2


def main() -> None:
    """Run the service's command line; end with a sentence and exit code 2 where there is no service."""
    root = Path(__file__).resolve().parent.parent
    if not _has_service(root):
        _refuse("The command ai-agents runs the service from a checkout or from its image, and there is none here.")
    # Before everything else: an `app` of the working directory or of PYTHONPATH is another one.
    sys.path.insert(0, str(root))
    try:
        # By name: the framework imports nothing of the service.
        import_module("app.cli").main()
    except ModuleNotFoundError as error:
        _refuse_missing(error)


def _has_service(root: Path) -> bool:
    try:
        title = ast.get_docstring(ast.parse((root / "app" / "__init__.py").read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return False
    return (title or "").startswith(SERVICE_TITLE) and (root / "app" / "cli.py").is_file()


def _refuse_missing(error: ModuleNotFoundError) -> NoReturn:
    """Say which package is missing; an error in our own modules is no such case."""
    name = (error.name or "").partition(".")[0]
    if not name or name in {"ai_agents", "app", "worker", "migrations"} or find_spec(name) is not None:
        raise error
    _refuse(f"The service needs the package {name}, which is not installed: pip install -r requirements.lock.")


def _refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(_USAGE_ERROR)


if __name__ == "__main__":
    main()

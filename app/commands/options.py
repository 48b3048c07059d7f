"""Options that several commands have."""

import argparse
import re

_LAST_PORT = 65_535
# More than any machine has cores for.
_MOST_PROCESSES = 256
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FORM = re.compile(r"([0-9]{1,9})([smhd])")


def seconds_of(text: str) -> int:
    """A time as people write it: `90d`, `12h`, `30m`, `45s`. Raises `ArgumentTypeError`."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("a time is a number and s, m, h or d, such as 90d")
    return int(found[1]) * _UNITS[found[2]]


def port_number(text: str) -> int:
    """A port; 0 stands for a free one. Raises `ArgumentTypeError`."""
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {_LAST_PORT}")
    return int(text)


def process_count(text: str) -> int:
    """How many processes, at least one. Raises `ArgumentTypeError`."""
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"a number of processes is one from 1 to {_MOST_PROCESSES}")
    return int(text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def add_service(parser: argparse.ArgumentParser) -> None:
    """Where the service is, and the key for it."""
    parser.add_argument("--url", help="where the service is (AI_AGENTS_URL; http://127.0.0.1:8000)")
    parser.add_argument("--key", help="an API key (AI_AGENTS_KEY; the admin key of this machine's service)")
    parser.add_argument(
        "--key-file", metavar="FILE", help="a file with the API key, since others see --key in the list of processes"
    )

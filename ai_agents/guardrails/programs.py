"""Programs of RE2: what compiling one takes of time and memory is bounded, and counted honestly.

Compiling holds the interpreter, searching does not (measured with google-re2 1.1.20251105). So a program is small, the
thread rests after it, and what needs a larger one is refused, unless it was stored when that was allowed.
"""

import time
from dataclasses import dataclass
from typing import Any

from ai_agents.core.fair_work import rest_after

# Compiling what this holds takes about 50 ms. RE2 keeps to it with a program, its reverse and the states of searches.
MAX_MEMORY = 4 * 1024 * 1024
# What an agent that was stored before there was this limit may take: half a second.
FORMER_MAX_MEMORY = 64 * 1024 * 1024
_LEAST_MEMORY = 512 * 1024
# Room for the states of a search, as a multiple of the program: with less, a list of 500 words is searched ten times
# slower.
_ROOM = 64
_INSTRUCTION_BYTES = 8
# The expression itself, which RE2 keeps beside the program: 36 bytes were measured.
_BYTES_PER_CHARACTER = 48


@dataclass(frozen=True, slots=True)
class Program:
    """A program that finds the leftmost of the longest matches, and the most memory that it ever takes."""

    matches: Any
    size_bytes: int
    instructions: int


class ProgramTooLarge(Exception):
    """The program would take more memory than is allowed."""


def compile_program(source: str, *, max_memory: int = MAX_MEMORY) -> Program:
    """The program of an expression in RE2's syntax. Raises `ProgramTooLarge`."""
    found = _compile(source, max_memory)
    wanted = max(_LEAST_MEMORY, _ROOM * _INSTRUCTION_BYTES * found.programsize)
    if wanted < max_memory:
        max_memory = wanted
        found = _compile(source, max_memory)
    return Program(found, max_memory + _BYTES_PER_CHARACTER * len(source), found.programsize)


def _compile(source: str, max_memory: int) -> Any:
    import re2

    options = re2.Options()
    options.longest_match = True
    options.log_errors = False
    options.max_mem = max_memory
    began = time.perf_counter()
    try:
        return re2.compile(source, options)
    except re2.error as error:
        raise ProgramTooLarge from error
    finally:
        re2.purge()  # the package keeps the last 128 expressions, of any size
        rest_after(began)

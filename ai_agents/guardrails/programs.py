"""Programs of RE2: what compiling one takes of time and memory is bounded, and counted honestly.

Compiling holds the interpreter, searching does not (measured with google-re2 1.1.20251105). So a program is small, the
thread rests after it, and what needs a larger one is refused, unless it was stored when that was allowed.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ai_agents.core.fair_work import rest_after

# Compiling what this holds takes about 50 ms. RE2 keeps to it with a program, its reverse and the states of searches.
MAX_MEMORY = 4 * 1024 * 1024
# What an agent that was stored before there was this limit may take: half a second.
FORMER_MAX_MEMORY = 64 * 1024 * 1024
_LEAST_MEMORY = 512 * 1024
_INSTRUCTION_BYTES = 8
# How much memory, as a multiple of a program, a fast search needs for its states. With less RE2 keeps none, and takes
# up to a hundred times as long: 1.7 microseconds for a character and a list of 500 words. What needs more than
# `MOST_ROOM` is searched so in any case.
_FAST = 72
MOST_ROOM = 8 * 1024 * 1024
# With less it does not compile.
_LEAST = 6
# The expression itself, which RE2 keeps beside the program: 36 bytes were measured.
BYTES_PER_CHARACTER = 48


@dataclass(frozen=True, slots=True)
class Program:
    """A program that finds the leftmost of the longest matches, and the most memory that it ever takes."""

    matches: Any
    size_bytes: int
    instructions: int


class ProgramTooLarge(Exception):
    """The program would take more memory than is allowed."""


def compile_program(
    source: str, *, weight: int = 0, room_bytes: int = MOST_ROOM, max_memory: int = MAX_MEMORY
) -> Program:
    """The program of an expression in RE2's syntax. Raises `ProgramTooLarge`.

    `weight` is about how many instructions it has, if that is known: it saves compiling twice. The program takes no
    more than `room_bytes` of memory, if it can do with that.
    """
    memory = max(_fitting(weight, room_bytes, max_memory), _LEAST_MEMORY) if weight else max_memory
    try:
        found = _compile(source, memory)
    except ProgramTooLarge:
        if memory >= max_memory:
            raise
        memory = max_memory
        found = _compile(source, memory)
    wanted = _fitting(found.programsize, room_bytes, max_memory)
    if not 0.6 < wanted / memory < 1.4:
        with suppress(ProgramTooLarge):  # it needs what it has
            found, memory = _compile(source, wanted), wanted
    # Two thirds of the memory are for the program and, by halves, its states; a third for the reverse and its states.
    size_bytes = memory * 2 // 3 + found.programsize * _INSTRUCTION_BYTES // 2
    return Program(found, size_bytes + BYTES_PER_CHARACTER * len(source), found.programsize)


def _fitting(instructions: int, room_bytes: int, max_memory: int) -> int:
    """The memory for a program of so many instructions."""
    size = instructions * _INSTRUCTION_BYTES
    if _FAST * size > MOST_ROOM:
        return min(max_memory, max(room_bytes, _LEAST * size))
    return max(_LEAST_MEMORY, min(_FAST * size, room_bytes), _LEAST * size)


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

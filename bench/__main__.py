"""`python -m bench`: measure everything, or with `--only` and `--database` a part of it."""

import argparse
import json
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.measures import MEASURES, Figures
from bench.processes import choose_cores, databases, provider, service
from bench.report import facts, print_table
from bench.target import Target, stay_on

_KINDS = {"sqlite": "SQLite", "postgres": "PostgreSQL + Redis"}


def main() -> None:
    """Measure, print a table and write the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures speed and memory of the service.")
    parser.add_argument("--only", action="append", choices=MEASURES, help="this measure alone; may be repeated")
    parser.add_argument("--database", action="append", choices=_KINDS, help="on this database alone")
    parser.add_argument("--json", type=Path, default=Path("var/bench.json"), help="where the figures go")
    arguments = parser.parse_args()
    found = {
        _KINDS[kind]: _measure(kind, arguments.only or list(MEASURES)) for kind in arguments.database or list(_KINDS)
    }
    print_table(found)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"machine": facts(), "figures": found}, indent=2) + "\n")


def _measure(kind: str, names: list[str]) -> Figures:
    """A new service on an empty database for each measure, so that none profits or suffers from the one before."""
    found: Figures = {}
    cores = choose_cores()
    usable = cores.service | cores.others
    for name in names:
        stay_on(cores.others)
        try:
            with ExitStack() as stack:
                upstream = stack.enter_context(provider(cores))
                database = stack.enter_context(databases(kind))
                running = stack.enter_context(service(database.settings, cores, upstream=upstream))
                target = Target(running, upstream, database)
                found |= uvloop.run(_run(name, target))
        finally:
            stay_on(usable)
        print_table({_KINDS[kind]: found})
    return found


async def _run(name: str, target: Target) -> Figures:
    await target.prepare()
    return await MEASURES[name](target)


if __name__ == "__main__":
    main()

"""What a migration may do while the version before goes on: it adds. Everything else is named here with its reason."""

import re
from collections.abc import Iterable, Iterator, Mapping

# The schema of the version that is released, whose processes may run beside those of this one. It moves at a release,
# with `statements.jsonl`.
RELEASED = "0035"
# Migrations that may do more, each with the reason why no process of the version before minds.
EXCEPTIONS: Mapping[str, str] = {}
# Tables that grow with use: an index on them is made beside the writing.
LARGE = frozenset(
    {"threads", "messages", "runs", "thread_events", "tool_calls", "model_calls", "jobs", "audit_log", "files"}
)
_ADD = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+) (.*)$", re.IGNORECASE | re.DOTALL)
_INDEX = re.compile(r'^CREATE (UNIQUE )?INDEX (CONCURRENTLY )?"?(\w+)"? ON "?(\w+)"?', re.IGNORECASE)
_CREATED = re.compile(r"^CREATE TABLE (\w+)", re.IGNORECASE)
# Of what else begins so, nothing stands in the way of others.
_HARMLESS = (
    "SELECT",
    "SHOW",
    "SET ",
    "INSERT INTO alembic_version",
    "UPDATE alembic_version",
    "DROP INDEX CONCURRENTLY",
)


def faults_of(statements: Iterable[str]) -> Iterator[str]:
    """What in the statements of one migration stands in the way of the version before."""
    made: set[str] = set()
    for statement in statements:
        sql = " ".join(statement.split())
        if (table := _CREATED.match(sql)) is not None:
            made.add(table[1])
        elif (added := _ADD.match(sql)) is not None:
            facts = added[3].upper()
            if "NOT NULL" in facts and "DEFAULT" not in facts:
                yield f"a column without a default that the version before does not write: {sql}"
            if "UNIQUE" in facts or "REFERENCES" in facts:
                yield f"a condition that the version before does not know: {sql}"
        elif (index := _INDEX.match(sql)) is not None:
            if index[4] in made:
                continue
            if index[1]:
                yield f"a condition that the version before does not know: {sql}"
            if index[2] is None and index[4] in LARGE:
                yield f"an index of a large table that its writers wait for: {sql}"
        elif not sql.startswith(_HARMLESS):
            yield f"more than adding: {sql}"

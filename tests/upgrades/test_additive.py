"""Migrations after the release only add, in ways that hold up no process that goes on."""

import os
from collections import defaultdict
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event

from ai_agents.store import migrate
from tests.support.postgres import PostgresServer
from tests.upgrades.additive import EXCEPTIONS, RELEASED, faults_of


@pytest.mark.parametrize(
    "sql, fault",
    [
        ("ALTER TABLE runs ADD COLUMN a INTEGER", None),
        ("ALTER TABLE runs ADD COLUMN a INTEGER DEFAULT '0' NOT NULL", None),
        ("CREATE TABLE a (id VARCHAR(36) NOT NULL)", None),
        ('CREATE INDEX CONCURRENTLY "a" ON "runs" ("a")', None),
        ("CREATE INDEX a ON providers (a)", None),
        ("ALTER TABLE runs ADD COLUMN a INTEGER NOT NULL", "without a default"),
        ("ALTER TABLE runs ADD COLUMN a INTEGER REFERENCES b (id)", "a condition"),
        ("CREATE UNIQUE INDEX CONCURRENTLY a ON runs (a)", "a condition"),
        ("CREATE INDEX a ON thread_events (a)", "that its writers wait for"),
        ("ALTER TABLE runs DROP COLUMN a", "more than adding"),
        ("ALTER TABLE runs RENAME a TO b", "more than adding"),
        ("ALTER TABLE runs RENAME TO b", "more than adding"),
        ("ALTER TABLE runs ALTER COLUMN a TYPE TEXT", "more than adding"),
        ("ALTER TABLE runs ALTER COLUMN a SET NOT NULL", "more than adding"),
        ("ALTER TABLE runs ADD CONSTRAINT a CHECK (b > 0)", "more than adding"),
        ("DROP TABLE runs", "more than adding"),
        ("DROP INDEX ix_runs_lease", "more than adding"),
        ("UPDATE runs SET a = 0", "more than adding"),
    ],
)
def test_what_stands_in_the_way_of_the_version_before_is_found(sql: str, fault: str | None) -> None:
    found = list(faults_of([sql]))
    assert ([fault in each for each in found] == [True]) if fault else not found


def test_migrations_after_the_release_only_add(postgres: PostgresServer) -> None:
    name = f"additive_{os.getpid()}"
    url = postgres.create_database(name)
    migrate.upgrade(url, RELEASED)
    revisions = migrate.run_on(url, _revisions_after_the_release)
    statements: defaultdict[str, list[str]] = defaultdict(list)

    for revision in revisions:

        def note(_connection: Any, _cursor: Any, sql: str, *_more: Any, of: str = revision) -> None:
            statements[of].append(sql)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            migrate.upgrade(url, revision)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    postgres.drop_database(name)

    found = {revision: list(faults_of(statements[revision])) for revision in revisions}
    assert {revision: faults for revision, faults in found.items() if faults and revision not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= {revision for revision, faults in found.items() if faults}, "an exception that is none"


def _revisions_after_the_release(connection: Connection) -> list[str]:
    scripts = ScriptDirectory.from_config(migrate.config_for(connection))
    found = [each.revision for each in scripts.walk_revisions(RELEASED, "head")]
    return [revision for revision in reversed(found) if revision != RELEASED]

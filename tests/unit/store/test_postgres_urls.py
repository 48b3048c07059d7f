"""Addresses of PostgreSQL as people paste them."""

import re
from pathlib import Path
from typing import Any

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store.database import normalize_url
from ai_agents.store.opening import describe_place
from ai_agents.store.postgres_urls import connect_arguments
from app.commands.databases import _environment
from tests.support.certificates import Authority


@pytest.mark.parametrize(
    "given, place",
    [
        ("postgres://ada:p%40ss%2F%23@db.internal/agents?sslmode=require", "agents at db.internal:5432"),
        ("postgresql+asyncpg://ada@db.internal:6000/agents?ssl=require", "agents at db.internal:6000"),
        ("postgresql+psycopg://ada@[fd00::1]:6000/agents?channel_binding=prefer", "agents at [fd00::1]:6000"),
        ("postgresql:///agents?host=/run/postgresql&user=ada&gssencmode=disable", "agents at /run/postgresql"),
        ("postgresql://?host=db.internal&port=6000&user=ada&dbname=agents", "agents at db.internal:6000"),
        ("postgres://ada@one,two:6000,[fd00::1]/agents", "agents at one:5432,two:6000,[fd00::1]:5432"),
        ("postgresql://ada@/agents?host=one,two&port=6000,6001", "agents at one:6000,two:6001"),
        ("postgresql://ada@/agents?host=one:6000&host=two:6001", "agents at one:6000,two:6001"),
        (
            "postgresql://ada@one/agents?statement_cache_size=0&command_timeout=5&connect_timeout=3",
            "agents at one:5432",
        ),
    ],
)
def test_an_address_keeps_its_meaning_however_it_is_written(given: str, place: str) -> None:
    url = normalize_url(given)

    assert describe_place(url) == place
    assert normalize_url(url.render_as_string(hide_password=False)) == url
    assert (url.username, url.database) == ("ada", "agents")
    bare, arguments = connect_arguments(url, command_timeout=30)
    _, options = bare.get_dialect()().create_connect_args(bare)
    hosts: Any = options.get("host")
    ports: Any = options.get("port", 5432)
    found = list(zip(hosts, ports, strict=True)) if isinstance(hosts, list) else [(hosts, ports)]
    said = [f"[{h}]:{p}" if ":" in h else h if h[0] == "/" else f"{h}:{p}" for h, p in found]
    assert place.endswith(",".join(said))
    assert isinstance(arguments["timeout"], float)
    assert arguments["command_timeout"] in (5.0, 30)
    assert arguments.get("target_session_attrs") == ("read-write" if len(found) > 1 else None)
    assert _environment(url).get("PGPASSWORD", "p@ss/#") == "p@ss/#"
    assert _environment(url)["PGHOST"] == ",".join(host for host, _ in found)


def test_what_tls_asks_for_reaches_the_driver_and_the_programs(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("ada")
    parameters = f"sslmode=verify-full&sslrootcert={authority.file}&sslcert={certificate}&sslkey={key}"

    url = normalize_url(f"postgres://ada@db/agents?{parameters}&options=-csearch_path%3Dagents&application_name=a%20b")

    bare, arguments = connect_arguments(url)
    assert not bare.query
    assert arguments["dsn"].startswith("postgresql://?")
    assert "sslmode=verify-full&" in arguments["dsn"]
    assert "options=-csearch_path%3Dagents" in arguments["dsn"]
    environment = _environment(url)
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"] == str(authority.file)
    assert (environment["PGSSLCERT"], environment["PGSSLKEY"]) == (str(certificate), str(key))
    assert (environment["PGOPTIONS"], environment["PGAPPNAME"]) == ("-csearch_path=agents", "a b")
    trusted = normalize_url("postgres://ada@db/agents?sslrootcert=system")
    assert trusted.query["sslmode"] == "verify-full"
    assert Path(str(trusted.query["sslrootcert"])).is_file()


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        ("sslmode=verify", "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("ssl=true", "sslmode is one of disable, allow"),
        ("sslrootcert=/none.pem&sslmode=verify-full", "the file /none.pem of sslrootcert cannot be read: No such file"),
        ("sslrootcert={text}&sslmode=verify-ca", "of sslrootcert cannot be used: it is no certificate"),
        ("sslrootcert={own}", "sslrootcert needs sslmode=verify-full"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system goes with sslmode=verify-full alone"),
        ("sslmode=require&sslcert={certificate}", "of sslcert cannot be used: it is no certificate, or its key"),
        ("sslmode=require&sslkey={key}", "sslkey is the key of a certificate, which sslcert names"),
        ("channel_binding=require&sslmode=require", "channel_binding=require is not supported: leave it out"),
        ("gssencmode=require", "encryption by GSSAPI"),
        ("target_session_attrs=standby", "target_session_attrs is one of any, primary, read-write"),
        ("pgbouncer=true", "AI_AGENTS_DATABASE_DIRECT_URL"),
        ("schema=agents", "options=-csearch_path%3Dname"),
        ("connect_timeout=soon", "timeout is a number of seconds"),
        ("sslmode=require&sslmode=disable", "has the parameter 'sslmode' twice"),
        ("keepalives=1", "has an unknown parameter 'keepalives'; known are application_name"),
        ("host=other&port=none", "a port that is no number"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(parameters: str, sentence: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("ada")
    text = tmp_path / "text"
    text.write_text("no certificate")
    query = parameters.format(own=authority.file, text=text, certificate=certificate, key=key)

    with pytest.raises(InvalidRequest, match=re.escape(sentence)) as refused:
        normalize_url(f"postgres://ada:a-secret@/agents?{query}")

    assert "a-secret" not in str(refused.value)
    assert str(refused.value).endswith(".")

"""PostgreSQL by TLS: what libpq's parameters ask for is done on every way to the database, or said why not."""

import gc
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ai_agents import connect
from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable
from ai_agents.runner.process.sole_process import sole_process
from ai_agents.store import migrate
from ai_agents.store.database import Database
from app.commands.databases import open_stored
from tests.support.certificates import Authority
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port, unprivileged_user
from tests.support.shared import SharedDirectory

# Python's own event loop leaves the socket of a handshake that failed to the garbage collector (uvloop does not).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
# Nothing without TLS, but for the tests' own look at it; one user has to show a certificate.
_HBA = """\
hostssl all certified 127.0.0.1/32 cert
hostssl all all       127.0.0.1/32 trust
host    all postgres  127.0.0.1/32 trust
"""


class TlsServer:
    """A PostgreSQL with TLS, the authority that has signed its certificate, and a strange one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.own, self.strange = Authority(directory), Authority(directory, "strange")
        self.server = PostgresServer(directory / "server")
        self.server.start()
        (self.server.directory / "data" / "pg_hba.conf").write_text(_HBA)
        for user in ("ada", "certified"):
            self.server.execute(f"CREATE ROLE {user} LOGIN SUPERUSER")
        self.certificate = self.give(self.own.issue("server"))
        for name, value in (("ssl", "on"), ("ssl_ca_file", self.own.file)):
            self.server.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.show(self.certificate)

    def give(self, files: tuple[Path, Path]) -> tuple[Path, Path]:
        """Give the key to the user of the servers."""
        if user := unprivileged_user():
            shutil.chown(files[1], user)
        return files

    def show(self, files: tuple[Path, Path]) -> None:
        """Let new connections see this certificate."""
        for name, file in zip(("ssl_cert_file", "ssl_key_file"), files, strict=True):
            self.server.execute(f"ALTER SYSTEM SET {name} = '{file}'")
        self.server.execute("SELECT pg_reload_conf()")
        until = time.monotonic() + 10
        while self.server.execute(f"SELECT 1 WHERE current_setting('ssl_cert_file') = '{files[0]}'") != "SELECT 1":
            assert time.monotonic() < until, "PostgreSQL keeps its certificate"

    def url(self, user: str = "ada", host: str = "127.0.0.1", **parameters: object) -> str:
        """An address as libpq has it."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgres://{user}@{host}:{self.server.port}/postgres?{query}"


@pytest.fixture(autouse=True)
def sockets_are_collected() -> Iterator[None]:
    """Let the garbage collector find those sockets here, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def tls(shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """The server of this file."""
    directory = shared_directory.path / tmp_path_factory.mktemp("tls").name
    directory.mkdir()
    directory.chmod(0o755)
    opened = TlsServer(directory)
    yield opened
    opened.server.kill()


async def is_encrypted(url: str, direct_url: str | None = None) -> bool:
    """Whether the connections of the pool are."""
    database = Database(url, pool_size=1, direct_url=direct_url)
    try:
        await database.check()
        asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return bool(await database.read(lambda c: c.execute(asked).scalar_one()))
    finally:
        await database.close()


async def test_every_way_to_the_database_verifies_the_server(tls: TlsServer, tmp_path: Path) -> None:
    url = tls.url(sslmode="verify-full", sslrootcert=tls.own.file, application_name="agents", connect_timeout=5)

    assert await is_encrypted(url)
    migrate.upgrade(url)
    lock = sole_process(Database(url))
    await lock.acquire()
    await lock.keep()
    await lock.release()
    stored = open_stored(url)
    stored.prepare()
    stored.copy_to(tmp_path / "dump")
    assert (tmp_path / "dump").stat().st_size > 1000
    # The server takes this user from nothing but a certificate.
    certificate, key = tls.own.issue("certified", hosts=())
    shown = tls.url("certified", sslmode="verify-ca", sslrootcert=tls.own.file, sslcert=certificate, sslkey=key)
    assert await is_encrypted(shown)
    open_stored(shown).copy_to(tmp_path / "dump")
    # A server that is gone is passed over, and one that takes no writes is none.
    several = tls.url(sslmode="require").replace("@", f"@127.0.0.1:{free_port()},")
    async with connect(several) as conn:
        assert not await conn.database.is_empty()
    tls.server.execute("ALTER ROLE certified SET default_transaction_read_only = on")
    writable = f"{shown}&target_session_attrs=read-write"
    for refused in (Database(writable).check(), sole_process(Database(writable)).acquire()):
        with pytest.raises(DatabaseUnavailable):
            await refused
    with pytest.raises(DatabaseUnavailable, match=r"None of the servers at .* takes writes"):
        migrate.current(writable)
    tls.server.execute("ALTER ROLE certified RESET default_transaction_read_only")


async def test_what_is_wrong_with_a_certificate_is_said_and_nothing_is_sent_in_the_clear(
    tls: TlsServer, postgres: PostgresServer
) -> None:
    async def said(url: str) -> str:
        with pytest.raises(DatabaseUnavailable) as refused:
            await connect(url)
        with pytest.raises(DatabaseUnavailable, match="PostgreSQL"):
            migrate.current(url)
        with pytest.raises(DatabaseUnavailable, match="PostgreSQL"):
            open_stored(url).prepare()
        return str(refused.value)

    own, strange = tls.own.file, tls.strange.file
    at = f"at 127.0.0.1:{tls.server.port}"
    untrusted = f"The certificate of PostgreSQL {at} is not trusted: "
    assert (await said(tls.url(sslmode="verify-full", sslrootcert=strange))).startswith(untrusted)
    assert await said(tls.url(host="localhost", sslmode="verify-full", sslrootcert=own)) == (
        f"The certificate of PostgreSQL at localhost:{tls.server.port} is not trusted: Hostname mismatch, certificate "
        "is not valid for 'localhost'."
    )
    assert await said(tls.url(sslmode="verify-full", sslrootcert=own, user="certified")) == (
        f"PostgreSQL {at} does not let the user certified in: connection requires a valid client certificate."
    )
    foreign = tls.strange.issue("stranger", hosts=())
    stranger = tls.url("certified", sslmode="verify-full", sslrootcert=own, sslcert=foreign[0], sslkey=foreign[1])
    assert " not trust the certificate of this program" in await said(stranger)
    for mode in ("require", "verify-full&sslrootcert=system"):
        assert await said(f"{postgres.url}?sslmode={mode}") == (
            f"PostgreSQL at 127.0.0.1:{postgres.port} does not speak TLS, which the database URL asks for."
        )


async def test_a_certificate_that_expires_under_a_running_service_is_said_in_its_log_and_a_new_one_is_taken(
    tls: TlsServer,
) -> None:
    database = Database(tls.url(sslmode="verify-full", sslrootcert=tls.own.file), pool_size=1)
    try:
        await database.check()
        tls.show(tls.give(tls.own.issue("old", expired=True)))
        tls.server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ada'")

        with pytest.raises(DatabaseUnavailable) as refused:
            await database.ping()

        assert str(refused.value) == "The database does not answer."  # that is what clients are told
        assert database.explain(refused.value)["reason"] == (
            f"The certificate of PostgreSQL at 127.0.0.1:{tls.server.port} is not trusted: certificate has expired."
        )
        tls.show(tls.certificate)
        await database.ping()
    finally:
        tls.show(tls.certificate)
        await database.close()


async def test_tls_goes_to_a_pooler_and_past_it(tls: TlsServer) -> None:
    certificate = tls.give(tls.own.issue("pooler"))
    to_clients = {"sslmode": "require", "key_file": certificate[1], "cert_file": certificate[0]}
    to_server = {"sslmode": "verify-full", "ca_file": tls.own.file}
    pooler = PgBouncer(
        tls.directory / "pooler",
        tls.server.port,
        users=["ada"],
        settings={f"client_tls_{name}": value for name, value in to_clients.items()}
        | {f"server_tls_{name}": value for name, value in to_server.items()},
    )
    pooler.start()
    try:
        direct = tls.url(sslmode="verify-full", sslrootcert=tls.own.file)
        through = direct.replace(f":{tls.server.port}/", f":{pooler.port}/")
        assert await is_encrypted(through, direct)
        async with connect(through, direct_url=direct) as conn:
            assert not await conn.database.is_empty()
        for parameter in ("options=-cjit%3Doff", "target_session_attrs=standby"):
            with pytest.raises(AIAgentsError) as refused:
                await connect(f"{through}&{parameter}", direct_url=direct)
            assert parameter.partition("=")[0] in str(refused.value)
        with pytest.raises(DatabaseUnavailable, match="is not trusted"):
            await connect(through.replace(str(tls.own.file), str(tls.strange.file)), direct_url=direct)
    finally:
        pooler.kill()

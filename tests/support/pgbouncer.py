"""A real PgBouncer before a PostgreSQL server, in transaction mode."""

import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.binaries import pgbouncer_program
from tests.support.processes import free_port, unprivileged_user, wait_until

# Fewer than the service has connections to it, so that transactions take turns on them.
SERVER_CONNECTIONS = 4
# In turns: no two transactions of a client in a row have the same one.
_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 1000
server_round_robin = 1
server_login_retry = {login_retry_s}
unix_socket_dir =
logfile = {directory}/log
"""


class PgBouncer:
    """One pooler on a port of its own."""

    def __init__(
        self,
        directory: Path,
        server_port: int,
        *,
        connections: int = SERVER_CONNECTIONS,
        users: Sequence[str] = ("postgres",),
        login_retry_s: int = 1,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """`settings` are more lines of its configuration.

        A server that was away is tried again after `login_retry_s`, by default after 15 s; until then PgBouncer refuses
        everything.
        """
        self.port = free_port()
        self._server_port = server_port
        self._connections = connections
        self._users = users
        self._login_retry_s = login_retry_s
        self._more = settings or {}
        self._directory = directory
        self._program = pgbouncer_program()
        self._process: subprocess.Popen[bytes] | None = None

    def url_of(self, database: str) -> str:
        """A database's address, through the pooler."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return when it listens."""
        self._directory.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS.format(
            server_port=self._server_port,
            port=self.port,
            directory=self._directory,
            connections=self._connections,
            login_retry_s=self._login_retry_s,
        )
        settings += "".join(f"{name} = {value}\n" for name, value in self._more.items())
        (self._directory / "pgbouncer.ini").write_text(settings)
        (self._directory / "users").write_text("".join(f'"{each}" ""\n' for each in self._users))
        user = unprivileged_user()  # it refuses to run as root
        if user:
            for path in (self._directory, *self._directory.iterdir()):
                shutil.chown(path, user)
        with (self._directory / "out").open("ab") as output:
            command = [str(self._program), str(self._directory / "pgbouncer.ini")]
            self._process = subprocess.Popen(command, stdout=output, stderr=output, user=user, cwd=self._directory)
        try:
            wait_until(self._listens, what="PgBouncer to listen")
        except TimeoutError as error:
            error.add_note((self._directory / "out").read_text())
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

"""A real Redis server in a directory of its own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import redis

from tests.support.binaries import redis_program
from tests.support.processes import free_port, wait_until


class RedisServer:
    """One server on a port of its own, on loopback only. `durable` keeps what was written through a `kill`."""

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = False,
        settings: Sequence[str] = (),
        port: int | None = None,
        sentinel: Path | None = None,
    ) -> None:
        """`settings` are more arguments of `redis-server`. With a configuration as `sentinel` it is one, on `port`."""
        self.directory = directory
        self.port = port or free_port()
        self._more = settings
        self._sentinel = sentinel
        self._durable = durable
        self._program = redis_program()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of a database, 0 to 15."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and has been neither stopped nor killed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The server's process. Raises `RuntimeError` where there is none."""
        return self._running().pid

    def start(self) -> None:
        """Start, and return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory), "--save", ""]
        settings += ["--maxmemory-policy", "noeviction"]
        settings += ["--appendonly", "yes", "--appendfsync", "always"] if self._durable else ["--appendonly", "no"]
        if self._sentinel is not None:
            settings = [str(self._sentinel), "--sentinel"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *settings, *self._more], stdout=log, stderr=log)
        wait_until(self._answers, what="Redis to answer")

    def stop(self) -> None:
        """Stop in order."""
        process = self._running()
        process.terminate()
        process.wait(30)
        self._process = None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        process = self._running()
        process.kill()
        process.wait(30)
        self._process = None

    def restart(self) -> None:
        """Start again on the same port, after a `kill`, a `stop` or neither."""
        if self._process:
            self.stop()
        self.start()

    def flush(self) -> None:
        """Forget everything, in every database."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _running(self) -> subprocess.Popen[bytes]:
        if not self._process:
            raise RuntimeError("this Redis server is not running")
        return self._process

    def _answers(self) -> bool:
        process = self._running()
        if process.poll() is not None:
            told = (self.directory / "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"redis-server ended with {process.returncode}:\n{told}")
        try:
            with redis.Redis(port=self.port, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.AuthenticationError:  # it asks for a password, so it answers
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False

"""What docker-compose.yml starts, as processes of this machine: the same commands, environment, files and order.

Only addresses differ: the containers' names become ports of the loopback address, and volumes become directories.
"""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx

from tests.deploy.image import COMPOSE, ROOT, Image, build_wheel, command_of
from tests.support.binaries import nginx_program, redis_program
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port, wait_until

# A variable in docker-compose.yml, with its default.
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
# Each look at the worker's health starts a Python of its own, which takes seconds on a busy machine.
_START_S = 120.0


class Composition:
    """All services; `environment` is what .env would have. `urls` are the processes of the service, `url` the proxy."""

    def __init__(self, root: Path, *, apis: int, **environment: str) -> None:
        self.root = root
        self._given = environment
        self._secrets, self._database_files = root / "secrets", root / "database"
        self._secrets.mkdir(exist_ok=True)
        self.image = Image(root, build_wheel(root), AI_AGENTS_SECRETS_DIR=str(self._secrets), **environment)
        self._ports = [free_port() for _ in range(apis)]
        self._proxy_port = free_port()
        self.urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self.url = f"http://127.0.0.1:{self._proxy_port}"
        self._apis: dict[int, ExitStack] = {}

    @property
    def admin_key(self) -> str:
        """The key that `secrets` has made."""
        return (self.image.directory / "var" / "admin.key").read_text().strip()

    @property
    def database_url(self) -> str:
        """The database of all services."""
        return (self._secrets / "ai_agents_database_url").read_text().strip()

    def run(self, service: str) -> str:
        """Run a service that ends by itself. Returns what it printed."""
        done = self.image.run(self._command(service), **self._variables(service))
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self) -> Iterator["Composition"]:
        """Start everything in order; at the end everything is stopped in the opposite order."""
        with ExitStack() as stack:
            self.run("secrets")
            postgres = PostgresServer(self.root / "server", signs_in=self._signs_in())
            postgres.start()
            stack.callback(postgres.stop)
            redis_port = stack.enter_context(self._redis())
            self._change_addresses(postgres.port, redis_port)
            self._create_database()
            self.run("migrate")
            stack.callback(self._stop_apis)
            for port in self._ports:
                self._start_api(port)
            stack.enter_context(self.image.running(self._command("worker"), **self._variables("worker")))
            healthy = command_of(COMPOSE["worker"]["healthcheck"]["test"])
            wait_until(
                lambda: self.image.run(healthy).returncode == 0, what="the worker to be healthy", timeout_s=_START_S
            )
            for url in self.urls:
                wait_until(lambda url=url: is_ready(url), what="the service to be ready", timeout_s=_START_S)  # type: ignore[misc]
            stack.enter_context(self._proxy())
            yield self

    def roll(self) -> None:
        """Stop each process of the service and start it again, one after the other, as an upgrade does."""
        for port, url in zip(self._ports, self.urls, strict=True):
            self._apis.pop(port).close()
            self._start_api(port)
            wait_until(lambda url=url: is_ready(url), what="the service to be ready again", timeout_s=_START_S)  # type: ignore[misc]

    def _start_api(self, port: int) -> None:
        variables = self._variables("api") | {"HOST": "127.0.0.1", "PORT": str(port)}
        stack = self._apis[port] = ExitStack()
        stack.enter_context(self.image.running(self._command("api"), **variables))

    def _stop_apis(self) -> None:
        with ExitStack() as stack:
            for each in self._apis.values():
                stack.callback(each.close)

    def _command(self, service: str) -> list[str]:
        """A service's command, with this machine's directories for the volumes."""
        of_volumes = {"/run/secrets": str(self._secrets), "/volumes/postgres": str(self._database_files)}
        command: list[str] = COMPOSE[service]["command"]
        return [_replaced(part, of_volumes) for part in command]

    def _variables(self, service: str) -> dict[str, str]:
        """A service's environment, as Compose reads it."""
        variables: dict[str, str] = COMPOSE[service].get("environment", {})
        return {
            name: _VARIABLE.sub(lambda found: self._given.get(found[1]) or found[2], value)
            for name, value in variables.items()
        }

    def _signs_in(self) -> list[str]:
        """How PostgreSQL's image makes its user."""
        variables = COMPOSE["postgres"]["environment"]
        password = self.root / "password"
        password.write_text((self._secrets / Path(variables["POSTGRES_PASSWORD_FILE"]).name).read_text())
        password.chmod(0o444)
        return ["--auth=scram-sha-256", f"--username={variables['POSTGRES_USER']}", f"--pwfile={password}"]

    def _create_database(self) -> None:
        url = self.database_url

        async def create() -> None:
            name = COMPOSE["postgres"]["environment"]["POSTGRES_DB"]
            connection = await asyncpg.connect(url.rpartition("/")[0] + "/postgres")
            await connection.execute(f'CREATE DATABASE "{name}"')
            await connection.close()

        asyncio.run(create())

    def _change_addresses(self, postgres_port: int, redis_port: int) -> None:
        addresses = {"@postgres/": f"@127.0.0.1:{postgres_port}/", "@redis:6379": f"@127.0.0.1:{redis_port}"}
        for name in ("ai_agents_database_url", "ai_agents_redis_url"):
            path = self._secrets / name
            text = path.read_text()
            assert any(address in text for address in addresses)
            path.unlink()
            path.write_text(_replaced(text, addresses))

    @contextmanager
    def _redis(self) -> Iterator[int]:
        program, *arguments = self._command("redis")
        assert program == "redis-server"
        port, directory = free_port(), self.root / "redis"
        directory.mkdir()
        here = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
        with _process([str(redis_program()), *arguments, *here], directory / "log"):
            yield port

    @contextmanager
    def _proxy(self) -> Iterator[None]:
        directory = self.root / "proxy"
        directory.mkdir()
        (source,) = [volume.split(":")[0] for volume in COMPOSE["proxy"]["volumes"]]
        (port,) = re.findall(r"listen (\d+);", text := (ROOT / source).read_text())
        servers = " ".join(f"server 127.0.0.1:{api};" for api in self._ports)
        here = {
            # The name of the service is a group of servers: Docker's name server is not there.
            "resolver 127.0.0.11 valid=5s ipv6=off;": f"upstream api {{ {servers} }}",
            "api:8000;": "api;",
            f"listen {port};": f"listen 127.0.0.1:{self._proxy_port};",
            "/tmp": str(directory),
        }
        for part in here:
            assert part in text
        configuration = directory / "nginx.conf"
        configuration.write_text(_replaced(text, here))
        command = [str(nginx_program()), "-c", str(configuration), "-g", "daemon off;"]
        with _process(command, directory / "log"):
            wait_until(lambda: is_ready(self.url), what="the proxy to answer")
            yield


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[None]:
    """A process until the end of the context."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    except BaseException as error:
        error.add_note(log.read_text()[-2000:])
        raise
    finally:
        process.terminate()
        process.wait(30)


def is_ready(url: str) -> bool:
    """Whether the service answers there, and is ready."""
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    return False


def _replaced(text: str, parts: dict[str, str]) -> str:
    for part, other in parts.items():
        text = text.replace(part, other)
    return text

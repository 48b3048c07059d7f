"""Redis by TLS, with users of its own, and as what cannot be used: what works for the bus works for Celery's jobs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection

from ai_agents.bus.addresses import parse_address
from ai_agents.bus.failures import find_fault, why_not_used
from ai_agents.bus.redis import RedisBus
from ai_agents.core.exceptions import InvalidRequest
from app.job_queue import celery_settings
from tests.support.certificates import Authority
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory

SECRET = "a-s3cret/of:one@"
QUOTED = "a-s3cret%2Fof%3Aone%40"
# What docs/connections.md tells operators to give.
RULES = f"reset on >{SECRET} ~ai-agents* ~_kombu* ~unacked* &aia:* +@all -@admin -@dangerous +info"


class TlsServer:
    """A Redis with TLS, the authority that has signed its certificate, and a strange one."""

    def __init__(self, directory: Path) -> None:
        self.own, self.strange = Authority(directory), Authority(directory, "strange")
        self.certificate = self.own.issue("server")
        self.port = free_port()
        self.server = RedisServer(
            directory / "redis",
            settings=[
                "--tls-port", str(self.port), "--tls-cert-file", str(self.certificate[0]), "--tls-key-file",
                str(self.certificate[1]), "--tls-ca-cert-file", str(self.own.file), "--tls-auth-clients", "no",
                "--unixsocket", str(directory / "redis.sock"),
            ],
        )  # fmt: skip
        self.server.start()
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", "agents", *RULES.split())

    def client(self) -> "redis.Redis":
        """A client without TLS, which may do everything."""
        return redis.Redis(port=self.server.port)

    def show(self, files: tuple[Path, Path]) -> None:
        """Let new connections see this certificate."""
        with self.client() as client:
            client.execute_command("CONFIG", "SET", "tls-cert-file", str(files[0]), "tls-key-file", str(files[1]))

    def url(self, user: str = "", host: str = "127.0.0.1", **parameters: object) -> str:
        """An address with TLS."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"rediss://{user}{host}:{self.port}/0?{query}"


@pytest.fixture(scope="module")
def tls(shared_directory: SharedDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """The server of this file."""
    directory = shared_directory.path / tmp_path_factory.mktemp("redis-tls").name
    directory.mkdir()
    opened = TlsServer(directory)
    yield opened
    opened.server.kill()


def send_and_take(url: str) -> None:
    """A message through Celery's transport, acknowledged, with what a worker asks of it."""
    settings = celery_settings(url, socket_timeout=5, socket_connect_timeout=2, max_retries=0)
    taken: list[Any] = []

    def take(body: Any, message: Any) -> None:
        taken.append(body)
        message.ack()

    with Connection(
        settings["broker_url"], ssl=settings["broker_use_ssl"], transport_options=settings["broker_transport_options"]
    ) as connection:
        queue = connection.SimpleQueue("ai-agents")
        queue.put("hello")
        queue.close()
        with connection.Consumer([queue.queue], callbacks=[take]):
            connection.drain_events(timeout=5)
        channel: Any = connection.default_channel
        channel.qos.restore_visible()
    assert taken == ["hello"]


async def hear(url: str) -> None:
    """Two processes hear each other through this Redis."""
    one, other = RedisBus(url), RedisBus(url)
    heard: asyncio.Queue[str] = asyncio.Queue()
    other.listen_cancel(heard.put_nowait)
    await one.open()
    await other.open()
    try:
        one.request_cancel("the-run")
        async with asyncio.timeout(5):
            assert await heard.get() == "the-run"
    finally:
        await one.close()
        await other.close()


async def test_one_address_with_tls_and_a_user_serves_the_bus_and_celery(tls: TlsServer) -> None:
    certificate, key = tls.own.issue("client")
    user = f"agents:{QUOTED}@"
    verified = tls.url(user, ssl_ca_certs=tls.own.file)
    with tls.client() as client:
        client.execute_command("CONFIG", "SET", "tls-auth-clients", "yes")
        shown = tls.url(user, ssl_ca_certs=tls.own.file, ssl_certfile=certificate, ssl_keyfile=key)
        assert await find_fault(shown) is None
        assert "certificate of this program" in str(await find_fault(verified))
        client.execute_command("CONFIG", "SET", "tls-auth-clients", "no")
        socket = f"unix://{user}{tls.server.directory.parent}/redis.sock?db=0"
        for url in (verified, tls.url(user, ssl_cert_reqs="none"), socket):
            assert await find_fault(url) is None
            await hear(url)
            await asyncio.to_thread(send_and_take, url)
        # The user's rules are enough: nothing was refused.
        assert client.execute_command("ACL", "LOG") == []


async def test_what_is_wrong_with_a_certificate_is_said(tls: TlsServer, redis_server: RedisServer) -> None:
    untrusted = f"The certificate of Redis at 127.0.0.1:{tls.port} is not trusted: "
    own = tls.own.file

    assert str(await find_fault(tls.url())).startswith(untrusted)
    assert str(await find_fault(tls.url(ssl_ca_certs=tls.strange.file))).startswith(untrusted)
    assert "Hostname mismatch" in str(await find_fault(tls.url(host="localhost", ssl_ca_certs=own)))
    assert await find_fault(tls.url(host="localhost", ssl_ca_certs=own, ssl_check_hostname="false")) is None
    tls.show(tls.own.issue("old", expired=True))
    assert await find_fault(tls.url(ssl_ca_certs=own)) == f"{untrusted}certificate has expired."
    tls.show(tls.certificate)
    plain = f"rediss://127.0.0.1:{redis_server.port}/0?ssl_ca_certs={own}"
    assert await find_fault(plain, timeout_s=0.5) == (
        f"Redis at 127.0.0.1:{redis_server.port} did not answer in time: it may not speak TLS, which the address asks "
        "for."
    )
    assert "it may expect TLS" in str(await find_fault(f"redis://127.0.0.1:{tls.port}/0"))
    # Celery's connection is as careful.
    with pytest.raises(Exception) as refused:  # noqa: PT011  # kombu's own
        await asyncio.to_thread(send_and_take, tls.url(ssl_ca_certs=tls.strange.file))
    assert str(why_not_used(refused.value, tls.url(ssl_ca_certs=tls.strange.file))).startswith(untrusted)


async def test_a_redis_that_takes_no_writes_says_why(redis_server: RedisServer) -> None:
    def change(*words: str) -> None:
        with redis.Redis(port=redis_server.port) as client:
            client.execute_command(*words)

    url, place = redis_server.url, f"Redis at 127.0.0.1:{redis_server.port}"
    undo: list[tuple[str, ...]] = []
    try:
        for setting, meaning in (
            ("maxmemory", "has no memory left (maxmemory)"),
            ("min-replicas-to-write", "takes no writes, since too few replicas follow it (min-replicas-to-write)"),
            ("replicaof", "is a replica that takes no writes"),
        ):
            words: tuple[str, ...] = ("CONFIG", "SET", setting, "1")
            back: tuple[str, ...] = ("CONFIG", "SET", setting, "0")
            if setting == "replicaof":
                words, back = ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")
            undo.append(back)
            change(*words)
            assert await find_fault(url) == f"{place} {meaning}."
            # What waits for no answer goes on: streams of other processes still come.
            await hear(url)
            with pytest.raises(Exception) as refused:  # noqa: PT011  # kombu's own
                await asyncio.to_thread(send_and_take, url)
            assert why_not_used(refused.value, url) == f"{place} {meaning}."
            change(*undo.pop())
        for rule, meaning in (("-eval", "'eval' command"), ("-set", "'set' command"), ("resetkeys", "keys used as")):
            change("ACL", "SETUSER", "weak", "on", ">weak", "~*", "&*", "+@all")
            change("ACL", "SETUSER", "weak", *rule.split())
            said = await find_fault(f"redis://weak:weak@127.0.0.1:{redis_server.port}/0")
            assert str(said).startswith(f"{place} does not allow this user what is needed: ")
            assert meaning in str(said)
            change("ACL", "DELUSER", "weak")
    finally:
        for words in undo:
            change(*words)


async def test_a_node_of_a_cluster_and_a_sentinel_are_refused_with_what_to_use(server_directory: Path) -> None:
    node = RedisServer(server_directory / "node", settings=["--cluster-enabled", "yes"])
    sentinel_port = free_port()
    configuration = server_directory / "sentinel.conf"
    configuration.write_text(f"port {sentinel_port}\nbind 127.0.0.1\ndir {server_directory}\n")
    sentinel = RedisServer(server_directory / "sentinel", port=sentinel_port, sentinel=configuration)
    node.start()
    sentinel.start()
    try:
        with redis.Redis(port=node.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for url, kind in ((node.url, "is a node of a cluster"), (sentinel.url, "is a Sentinel: its address")):
            assert kind in str(await find_fault(url))
            bus = RedisBus(url)
            with pytest.raises(InvalidRequest, match=f"{kind}.*sentinel://"):
                await bus.open()
            await bus.close()
        # With Sentinels that know no master, that is said.
        assert await find_fault(f"sentinel://127.0.0.1:{sentinel.port}/0?master=agents") == (
            f"No Sentinel at 127.0.0.1:{sentinel.port} answers and knows a server named agents that is its master."
        )
    finally:
        node.kill()
        sentinel.kill()
    assert parse_address(node.url).place == f"127.0.0.1:{node.port}"

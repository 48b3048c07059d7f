"""What a pooler whose server is gone makes of a message that it had begun to pass on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database

_DESCRIPTION = b"T"


class _Damager:
    """A proxy that says of so many descriptions of rows that they had more columns than they have."""

    def __init__(self, port: int) -> None:
        self.left = 0
        self.connections = 0
        self._port = port

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """The port on which it listens."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _pass_on(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(self._copy(client, to_server))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await server.readexactly(5)
                body = await server.readexactly(int.from_bytes(header[1:]) - 4)
                if header[:1] == _DESCRIPTION and self.left:
                    self.left -= 1
                    body = b"\x7f\xff" + body[2:]
                to_client.write(header + body)
                await to_client.drain()
        asking.cancel()
        for writer in (to_server, to_client):
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_an_answer_that_cannot_be_read_is_a_lost_connection(postgresql_url: str) -> None:
    address = make_url(postgresql_url)
    assert address.port is not None
    damager = _Damager(address.port)
    async with damager.open() as port:
        through = address.set(port=port, query={**address.query, "sslmode": "disable"})
        database = Database(through.render_as_string(hide_password=False))
        try:
            assert await database.read(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
            before = damager.connections

            damager.left = 1
            assert await database.read(lambda c: c.execute(text("SELECT 2")).scalar_one()) == 2
            damager.left = 1
            assert await database.write(lambda c: c.execute(text("SELECT 3")).scalar_one()) == 3
            assert damager.connections == before + 2

            damager.left = 100
            with pytest.raises(DatabaseUnavailable):
                await database.read(lambda c: c.execute(text("SELECT 4")).scalar_one())
            damager.left = 0
            assert await database.read(lambda c: c.execute(text("SELECT 5")).scalar_one()) == 5
        finally:
            await database.close()

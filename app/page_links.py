"""The link by which the person who starts the service signs in to its page, without looking for a key."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import Connection

from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.ids import format_time
from ai_agents.store import audit, keys
from app.container import Container

# The page looks for this name, too: see app/console/js/sign_in/link.js.
KEY_NAME = "page"
_VALID = timedelta(hours=12)


async def make_page_link(container: Container, address: str) -> str:
    """The page's address, on loopback with a new admin key in its fragment.

    What is printed in a terminal stays there, and may be kept as a log. So the page changes the key's secret when it is
    first opened by the link, and the printed secret ends ten minutes later. Links that were not opened end when the
    next one is made. Only a browser of this machine can follow the link. The person who starts the service here can
    read the admin key anyway. A fragment is sent to no server and logged by none.
    """
    if not _is_loopback(address):
        return f"{address}/"
    ends = format_time(datetime.now(UTC) + _VALID)

    def make(connection: Connection) -> str:
        for key_id in keys.list_unopened(connection, keys.ADMIN_ID, KEY_NAME):
            gone = keys.delete_key(connection, key_id)
            _record(connection, "key.delete", key_id, admin=gone["admin"])
        made = keys.create_key(connection, keys.ADMIN_ID, KEY_NAME, expires_at=ends, admin=True)
        _record(connection, "key.create", made["id"], admin=True, expires=True)
        return made["key"]

    try:
        key = await container.conn.database.write(make)
    except AIAgentsError:
        return f"{address}/"  # the page asks for a key; that the database is away is reported where it matters
    return f"{address}/#token={key}"


def _record(connection: Connection, action: Literal["key.create", "key.delete"], key_id: str, **facts: bool) -> None:
    audit.record(connection, audit.Act(action, None, "key", key_id, subject_id=keys.ADMIN_ID, details=facts))


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

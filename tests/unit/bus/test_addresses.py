"""Addresses of Redis as people paste them: redis-py and Celery get the same server, user and TLS from each."""

import re
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from ai_agents.bus.addresses import parse_address
from ai_agents.core.exceptions import InvalidRequest
from tests.support.certificates import Authority

PASSWORD = "p@s:/?#;,w"
QUOTED = "p%40s%3A%2F%3F%23%3B%2Cw"


def of_redis_py(url: str) -> dict[str, Any]:
    """What redis-py connects to."""
    pool = parse_address(url).open_client(protocol=2).connection_pool
    options = dict(pool.connection_kwargs)
    return options | {"tls": "SSL" in pool.connection_class.__name__}


def of_celery(url: str) -> dict[str, Any]:
    """What kombu connects to for Celery."""
    settings = parse_address(url).celery_settings()
    connection = Connection(
        settings["broker_url"], ssl=settings["broker_use_ssl"], transport_options=settings["broker_transport_options"]
    )
    transport: Any = connection.transport
    channel = transport.Channel.__new__(transport.Channel)
    channel.connection = transport
    options: dict[str, Any] = channel._connparams()
    return options | {"tls": "SSL" in options["connection_class"].__name__}


@pytest.mark.parametrize(
    "url, meant",
    [
        ("redis://db.internal", {"host": "db.internal", "port": 6379, "db": 0, "tls": False}),
        (f"redis://:{QUOTED}@db.internal:6380/3", {"port": 6380, "db": 3, "password": PASSWORD}),
        (f"redis://ada:{QUOTED}@[fd00::1]/2", {"host": "fd00::1", "db": 2, "username": "ada", "password": PASSWORD}),
        ("redis://db.internal?db=4", {"host": "db.internal", "db": 4}),
        ("rediss://db.internal:6380/1", {"tls": True, "db": 1, "port": 6380}),
        ("rediss://db.internal?ssl_cert_reqs=none", {"tls": True, "ssl_cert_reqs": "none"}),
        ("rediss://db.internal?ssl_cert_reqs=CERT_REQUIRED", {"tls": True, "ssl_cert_reqs": "required"}),
        ("rediss://db.internal?ssl_check_hostname=false", {"tls": True, "ssl_check_hostname": False}),
        (f"unix://ada:{QUOTED}@/run/redis.sock?db=5", {"path": "/run/redis.sock", "db": 5, "password": PASSWORD}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock", "db": 0}),
    ],
)
def test_redis_py_and_celery_read_the_same_from_one_address(url: str, meant: dict[str, Any]) -> None:
    for found in (of_redis_py(url), of_celery(url)):
        assert {name: found.get(name) for name in meant} == meant
    assert PASSWORD not in parse_address(url).place


def test_files_of_tls_reach_both(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("ada")
    meant = {"ssl_ca_certs": str(authority.file), "ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    url = "rediss://db.internal?" + "&".join(f"{name}={value}" for name, value in meant.items())

    for found in (of_redis_py(url), of_celery(url)):
        assert {name: found.get(name) for name in meant} == meant


def test_sentinels_and_their_master_are_named_in_one_address() -> None:
    url = f"sentinels://ada:{QUOTED}@one,[fd00::1]:26380/3?master=agents&sentinel_password=other&ssl_cert_reqs=none"

    address = parse_address(url)

    assert address.place == "agents of the Sentinels one:26379,[fd00::1]:26380"
    settings = address.celery_settings()
    assert settings["broker_url"] == (f"sentinel://ada:{QUOTED}@one:26379/3;sentinel://ada:{QUOTED}@[fd00::1]:26380/3")
    assert settings["broker_use_ssl"] == {"ssl_cert_reqs": "none"}
    assert settings["broker_transport_options"] == {
        "master_name": "agents",
        "sentinel_kwargs": {"password": "other", "ssl_cert_reqs": "none", "ssl": True},
    }
    found = of_redis_py(url)
    assert (found["username"], found["password"], found["db"], found["tls"]) == ("ada", PASSWORD, 3, True)
    assert parse_address("sentinel://one").master == "mymaster"


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("redis://one,two/0", "it is like redis://host:6379/0"),
        ("redis+cluster://one/0", "it is like redis://host:6379/0"),
        ("unix://host/run/redis.sock", "it is like redis://host:6379/0"),
        ("redis://db/first", "ends in the number of a database, like /0"),
        ("redis://db/0?ssl_ca_certs=/ca.pem", "has ssl_ca_certs, which needs rediss://"),
        ("sentinel://db/0?ssl_cert_reqs=none", "has ssl_cert_reqs, which needs sentinels://"),
        ("redis://db/0?protocol=3", "unknown parameter 'protocol'; known are client_name, db, password, username"),
        ("redis://db/0?master=agents", "unknown parameter 'master'"),
        ("rediss://db/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is required, optional or none"),
        ("rediss://db/0?ssl_check_hostname=perhaps", "ssl_check_hostname is true or false"),
        ("rediss://db/0?ssl_ca_certs=/none.pem", "the file /none.pem of ssl_ca_certs cannot be read: No such file"),
        ("rediss://db/0?ssl_ca_certs={text}", "of ssl_ca_certs cannot be used: it is no certificate"),
        (
            "rediss://db/0?ssl_certfile={certificate}",
            "ssl_certfile cannot be used: it is no certificate, or its key",
        ),
        ("rediss://db/0?ssl_keyfile={key}", "ssl_keyfile is the key of a certificate, which ssl_certfile names"),
    ],
)
def test_an_address_that_cannot_work_is_refused_in_one_sentence(url: str, sentence: str, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("ada")
    text = tmp_path / "text"
    text.write_text("no certificate")

    with pytest.raises(InvalidRequest, match=re.escape(sentence)):
        parse_address(url.format(text=text, certificate=certificate, key=key))

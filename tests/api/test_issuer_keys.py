"""The keys of an issuer: fetched once, kept, asked for again where one is not known, and never too often."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import IssuerUnavailable, Unauthorized
from app.oidc import keys as issuer_keys
from app.oidc.keys import IssuerKeys
from tests.fakes.http_server import reply, reply_json
from tests.fakes.issuer import Issuer
from tests.support.clock import Clock


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[IssuerKeys]:
    made = IssuerKeys(issuer.address, clock=clock)
    yield made
    await made.aclose()


async def asked(keys: IssuerKeys) -> None:
    """Wait for the answer that is under way."""
    if keys._asking is not None:
        await asyncio.wait({keys._asking})


async def test_a_key_that_is_not_known_is_asked_for_at_most_every_ten_seconds(
    keys: IssuerKeys, issuer: Issuer, clock: Clock
) -> None:
    assert (await keys.find("ES256", "first")).kid == "first"
    assert (await keys.find("ES256", None)).kid == "first"
    assert issuer.times_asked == 1
    issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
    for number in range(200):
        with pytest.raises(Unauthorized):
            await keys.find("ES256", f"unknown {number}")
    assert issuer.times_asked == 1
    clock.now = 10.0
    found = await asyncio.gather(*(keys.find("ES256", "second") for _ in range(50)))
    assert {key.kid for key in found} == {"second"}
    assert issuer.times_asked == 2
    # Of two keys a JWT has to name one, and the one that it names has to be for its algorithm.
    for algorithm, kid in (("ES256", None), ("RS256", "first"), ("EdDSA", "second")):
        with pytest.raises(Unauthorized):
            await keys.find(algorithm, kid)


async def test_old_keys_are_asked_for_in_the_background_and_withdrawn_ones_are_forgotten(
    keys: IssuerKeys, issuer: Issuer, clock: Clock
) -> None:
    await keys.find("ES256", "first")
    issuer.keys = {"second": issuer.keys["first"]}
    clock.now = 301.0
    issuer.answering.clear()
    assert (await keys.find("ES256", "first")).kid == "first"  # without waiting
    issuer.answering.set()
    await asked(keys)
    with pytest.raises(Unauthorized):
        await keys.find("ES256", "first")
    assert issuer.times_asked == 2


async def test_keys_that_are_known_go_on_for_a_day_while_the_issuer_is_down(
    keys: IssuerKeys, issuer: Issuer, clock: Clock
) -> None:
    await keys.find("ES256", "first")
    issuer.is_broken = True
    for now in (400.0, 4000.0, 86_000.0):
        clock.now = now
        assert (await keys.find("ES256", "first")).kid == "first"
        await asked(keys)
    with pytest.raises(IssuerUnavailable, match="cannot be fetched now"):
        await keys.find("ES256", "second")
    clock.now = 86_400.0
    with pytest.raises(IssuerUnavailable):
        await keys.find("ES256", "first")
    issuer.is_broken = False
    clock.now = 86_410.0
    assert (await keys.find("ES256", "first")).kid == "first"


async def test_requests_wait_for_keys_a_bounded_time_and_a_bounded_number_of_them(
    keys: IssuerKeys, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_TIMEOUT_S", 0.3)
    issuer.answering.clear()
    waiting = [asyncio.create_task(keys.find("ES256", "first")) for _ in range(100)]
    await asyncio.sleep(0)
    with pytest.raises(IssuerUnavailable, match="being fetched"):
        await keys.find("ES256", "first")
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in refused} == {IssuerUnavailable}
    # One who leaves does not take the answer from the others.
    clock.now = 10.0
    monkeypatch.setattr(issuer_keys, "_TIMEOUT_S", 5.0)
    leaving, staying = (asyncio.create_task(keys.find("ES256", "first")) for _ in range(2))
    await asyncio.sleep(0.05)
    leaving.cancel()
    issuer.answering.set()
    assert (await staying).kid == "first"


async def test_a_discovery_document_of_another_or_without_an_address_is_refused(
    keys: IssuerKeys, issuer: Issuer, clock: Clock
) -> None:
    good = {"issuer": issuer.address, "jwks_uri": issuer.server.url("/keys")}
    wrong: list[dict[str, Any]] = [
        {"issuer": "http://127.0.0.1/other"},
        {"issuer": None},
        *({"jwks_uri": each} for each in (None, 7, "file:///etc/passwd", "gopher://127.0.0.1/", "http://[::1")),
        {"jwks_uri": "http://127.0.0.1:1/"},
    ]
    for change in wrong:
        issuer.server.on("/realm/.well-known/openid-configuration", reply_json(good | change))
        clock.now += 10
        with pytest.raises(IssuerUnavailable):
            await keys.find("ES256", "first")
    assert issuer.times_asked == 0
    issuer.server.on("/realm/.well-known/openid-configuration", reply_json(good))
    clock.now += 10
    await keys.find("ES256", "first")


async def test_what_is_no_set_of_keys_is_refused(keys: IssuerKeys, issuer: Issuer, clock: Clock) -> None:
    issuer.server.on("/other", reply_json({"keys": []}))
    for answer in (
        reply(b"", status="302 Found", more="location: /other\r\n"),
        reply(b"", status="204 No Content"),
        *map(reply, (b"not json", b"[]", b"null", b" " * 300_000 + b'{"keys": []}')),
        *map(reply_json, ({"keys": {}}, {"keys": [{}] * 101}, {})),
        reply(b"\x1f\x8b", more="content-encoding: gzip\r\n"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
        b"nonsense\r\n\r\n",
    ):
        issuer.server.on("/keys", answer)
        clock.now += 10
        with pytest.raises(IssuerUnavailable):
            await keys.find("ES256", "first")
    assert "/other" not in {each.target for each in issuer.server.asked}


async def test_keys_that_are_not_sound_leave_the_others(keys: IssuerKeys, issuer: Issuer) -> None:
    issuer.more = [
        {"kty": "oct", "k": "AAAA", "kid": "first"},
        {"kty": "XYZ"},
        {"kty": []},
        7,
        {"kty": "EC", "crv": {}},
    ]
    assert (await keys.find("ES256", "first")).kid == "first"

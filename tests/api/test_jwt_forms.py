"""What is no JWT of the issuer, whatever it looks like: the kinds of Wycheproof's vectors for JWS and JWK.

Each case is made here, of keys of its own. https://github.com/C2SP/wycheproof, read 2026-11-30, names the kinds.
"""

import base64
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unauthorized
from app.oidc.jws import MAX_JWT_BYTES, Key, is_signed_by, parse_jwt, read_key
from app.oidc.verifier import JwtVerifier
from tests.fakes.issuer import AUDIENCE, PrivateKey, compact, encode, keyed_hash, published, sign

ISSUER = "https://login.example.com/realm"
RSA_KEY = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, PrivateKey] = {
    **{f"{kind}{bits}": RSA_KEY for kind in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
}
ORDERS = {"ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}


def key_of(algorithm: str, **more: Any) -> Key:
    """The public key for this algorithm, as the issuer publishes it."""
    found = read_key(published(KEYS[algorithm], kid=algorithm, **more))
    assert found is not None
    return found


class OneKey:
    """Keys of an issuer that publishes one of them, by its id."""

    async def find(self, algorithm: str, kid: str | None) -> Key:
        key = key_of(kid or "ES256") if kid in KEYS or kid is None else None
        if key is None or algorithm not in key.algorithms:
            raise Unauthorized("no such key")
        return key


def claims(**more: Any) -> dict[str, Any]:
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60} | more
    return {name: value for name, value in found.items() if value is not None}


def made(algorithm: str = "ES256", header: Any = None, body: Any = None) -> str:
    """A JWT that is good but for this header or these claims."""
    header = {"alg": algorithm, "kid": algorithm} if header is None else header
    return compact(header, claims() if body is None else body, lambda it: sign(algorithm, KEYS[algorithm], it))


async def user_of(text: str, **more: Any) -> str:
    verifier = JwtVerifier(ISSUER, AUDIENCE, keys=OneKey(), **more)  # type: ignore[arg-type]  # all that it asks for
    return (await verifier.verify(text)).user_id


async def refuse(text: str) -> None:
    with pytest.raises(Unauthorized):
        await user_of(text)


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_algorithm_is_checked_with_a_key_that_is_for_it(algorithm: str) -> None:
    text = made(algorithm)
    assert await user_of(text) == f"{ISSUER}|ann"
    signed, _, signature = text.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    jwt = parse_jwt(text)
    for position in (0, len(raw) // 2, len(raw) - 1):
        wrong = raw.copy()
        wrong[position] ^= 1
        await refuse(f"{signed}.{encode(bytes(wrong))}")
    for wrong_length in (raw[:-1], raw + b"\0", b"\0" + raw, b"\0" * len(raw), b"\xff" * len(raw), b"", b"\0"):
        await refuse(f"{signed}.{encode(bytes(wrong_length))}")
    for other, key in KEYS.items():
        if key is not KEYS[algorithm]:
            assert not is_signed_by(jwt, key_of(other)), other


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_signature_of_another_algorithm_of_the_same_key_is_none(algorithm: str) -> None:
    fitting = {"RS256": ("PS256", "RS512"), "PS256": ("RS256", "PS384"), "ES256": ("ES384",), "EdDSA": ("ES256",)}
    for other in fitting[algorithm]:
        header = {"alg": algorithm, "kid": algorithm}
        await refuse(compact(header, claims(), partial(sign, other, KEYS[other])))
    # A key that says what it is for is for nothing else.
    jwt = parse_jwt(made(algorithm))
    assert is_signed_by(jwt, key_of(algorithm, alg=algorithm))
    assert read_key(published(KEYS[algorithm], alg="RSA-OAEP")) is None


async def test_ecdsa_signatures_are_two_numbers_of_full_length_in_range() -> None:
    signed, _, signature = made().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = raw[:32], raw[32:]
    der = KEYS["ES256"].sign(signed.encode(), ec.ECDSA(hashes.SHA256()))  # type: ignore[call-arg, arg-type]
    order = ORDERS["ES256"].to_bytes(32)
    wrong = [
        der, r, s, s + r, r + s + b"\0", b"\0" + r + b"\0" + s, b"\0" * 64, b"\0" * 63 + b"\1", order + order,
        r + b"\0" * 32, b"\0" * 32 + s, order + s, r + order, b"\xff" * 64,
    ]  # fmt: skip
    for each in wrong:
        await refuse(f"{signed}.{encode(each)}")


async def test_nothing_unsigned_and_no_shared_secret_is_accepted() -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(published(RSA_KEY)).encode()
    for name in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "ES256K",
        "dir",
        "RS1",
        "A128KW",
        None,
        1,
    ):
        for secret in (pem, der, jwk, b"", b"\0"):
            header = {"alg": name, "kid": "RS256"}
            await refuse(compact(header, claims(), partial(keyed_hash, secret)))
        await refuse(compact({"alg": name}, claims(), lambda _: b""))
    await refuse(compact({"kid": "ES256"}, claims(), lambda _: b""))
    assert read_key({"kty": "oct", "k": encode(b"0" * 32)}) is None
    assert read_key({"kty": "oct", "k": ""}) is None


@pytest.mark.parametrize("more", [
    {"crit": []}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"crit": "exp"},
    {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"typ": 1}, {"typ": None}, {"kid": "unknown"}, {"kid": ""}, {"kid": 1},
    {"kid": ["ES256"]}, {"kid": "ES384"}, {"kid": "x" * 300}, {"kid": "ES256 "}, {"kid": "../ES256"}, {"alg": "ES384"},
    {"alg": "RS256"}, {"alg": ["ES256"]}, {"alg": "es256"}, {"alg": "ES256 "},
])  # fmt: skip
async def test_a_header_that_asks_for_another_reading_is_refused(more: dict[str, Any]) -> None:
    await refuse(made(header={"alg": "ES256", "kid": "ES256"} | more))


async def test_keys_that_a_header_brings_or_points_to_do_not_count() -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    brought = {
        "jwk": published(own), "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/x", "x5c": ["MII"],
        "x5t": "x",
    }  # fmt: skip
    for name, value in brought.items():
        header = {"alg": "ES256", "kid": "ES256", name: value}
        await refuse(compact(header, claims(), lambda it: sign("ES256", own, it)))
    # Where they come with the issuer's own signature they are not read.
    header = {"alg": "ES256", "kid": "ES256", "jwk": published(own), "x5t": "x", "nonce": "n", "typ": "at+JWT"}
    assert await user_of(made(header=header)) == f"{ISSUER}|ann"


async def test_a_jwt_has_one_text_only() -> None:
    good = made()
    header, body, signature = good.split(".")
    # The last character of 64 bytes has four unused bits.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    flipped = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    wrong = [
        "", ".", "..", "...", header, f"{header}.{body}", f"{header}.{body}.", f"{header}..{signature}",
        f".{body}.{signature}",
        f"{good}.", f".{good}", f"{good}.{signature}", f"{good}.x.y", f"{good}=", f"{good}==", f" {good}",
        f"{good} ", f"{good}\n",
        f"{header}=.{body}.{signature}", f"{header}.{body}=.{signature}", f"{header}\n.{body}.{signature}",
        f"{header}. {body}.{signature}",
        f"{header}.{body}.{flipped}", f"{header}.{body}.{signature[:-1]}",
        f"{header}.{body}.{signature[:10]}\n{signature[10:]}",
        f"{header}.{body}.{signature[:10]}+{signature[11:]}", f"{header}.{body}.{signature[:10]}/{signature[11:]}",
        f"{header}.{body}.{signature[:10]}é{signature[11:]}", f"{header}.{body}.{signature}\0",
        json.dumps({"payload": body, "protected": header, "signature": signature}),
    ]  # fmt: skip
    for text in wrong:
        await refuse(text)
    assert await user_of(good) == f"{ISSUER}|ann"


async def test_a_name_is_in_header_and_claims_once_and_both_are_json_objects() -> None:
    exp = int(time.time()) + 60
    doubled = f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"eve","sub":"ann","exp":{exp}}}'.encode()
    once = doubled.replace(b'"sub":"eve",', b"")
    assert await user_of(made(body=once)) == f"{ISSUER}|ann"
    good = b'{"alg":"ES256","kid":"ES256"}'
    assert await user_of(made(header=good)) == f"{ISSUER}|ann"
    for body in (doubled, b"[]", b"null", b'"x"', b"", b"{", once + b"x", once.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + once,
                 once.replace(b"ann", b"\xff"), once.replace(str(exp).encode(), b"NaN"), b"[" * 9000,
                 once + b"\0"):  # fmt: skip
        await refuse(made(body=body))
    for header in (b'{"alg":"none","alg":"ES256","kid":"ES256"}', b'{"alg":"ES256","kid":"ES256","kid":"ES256"}',
                   good.decode().encode("utf-16"), b"\xef\xbb\xbf" + good, b"[]", b"1", good + good, b""):  # fmt: skip
        await refuse(made(header=header))


async def test_a_jwt_is_bounded() -> None:
    assert len(await user_of(made(body=claims(groups=["g" * 100] * 80)))) > 0
    long = made(body=claims(groups=["g" * 100] * 200))
    assert len(long) > MAX_JWT_BYTES
    await refuse(long)
    await refuse("a" * 10_000_000 + ".b.c")


@pytest.mark.parametrize("change", [
    {"iss": None}, {"iss": ISSUER + "/"}, {"iss": ISSUER.upper()}, {"iss": [ISSUER]}, {"iss": ISSUER[:-1]}, {"iss": ""},
    {"aud": None}, {"aud": []}, {"aud": "other"}, {"aud": ["other"]}, {"aud": AUDIENCE + " "},
    {"aud": {AUDIENCE: 1}}, {"aud": True},
    {"exp": None}, {"exp": 0}, {"exp": -1}, {"exp": "9999999999"}, {"exp": True}, {"exp": 1e300}, {"exp": 10**400},
    {"exp": []},
    {"nbf": 9e9}, {"nbf": "0"}, {"nbf": -1}, {"iat": 9e9}, {"iat": "now"}, {"sub": None}, {"sub": ""}, {"sub": " "},
    {"sub": 7},
    {"sub": ["ann"]}, {"sub": "a\nb"}, {"sub": "a\0b"}, {"sub": "\ud800"}, {"sub": "x" * 255}, {"events": {}},
])  # fmt: skip
async def test_claims_that_are_wrong_are_refused(change: dict[str, Any]) -> None:
    await refuse(made(body=claims(**change)))


async def test_claims_hold_within_a_minute_of_the_issuers_clock_and_never_past_exp() -> None:
    now = time.time()
    assert await user_of(made(body=claims(nbf=now + 50, iat=now + 50))) == f"{ISSUER}|ann"
    await refuse(made(body=claims(nbf=now + 70)))
    await refuse(made(body=claims(exp=now - 0.1)))
    assert await user_of(made(body=claims(aud=["other", AUDIENCE]))) == f"{ISSUER}|ann"
    longest = "x" * (255 - len(ISSUER) - 1)
    assert len(await user_of(made(body=claims(sub=longest)))) == 255
    with pytest.raises(Unauthorized, match="more than 255 characters"):
        await user_of(made(body=claims(sub=longest + "x")))


async def test_what_is_checked_is_kept_for_a_minute_and_not_past_its_end() -> None:
    now = 1000.0
    asked = []

    class Counting(OneKey):
        async def find(self, algorithm: str, kid: str | None) -> Key:
            asked.append(kid)
            return await super().find(algorithm, kid)

    verifier = JwtVerifier(ISSUER, AUDIENCE, keys=Counting(), clock=lambda: now)  # type: ignore[arg-type]
    long, short = made(body=claims(exp=2000)), made(body=claims(exp=1030))
    for text in (long, short, long, short):
        await verifier.verify(text)
    assert len(asked) == 2
    # A wrong signature under a header and claims that are known is checked by itself.
    with pytest.raises(Unauthorized):
        await verifier.verify(long[:-4] + "AAAA")
    now = 1030.0
    await verifier.verify(long)
    with pytest.raises(Unauthorized, match="expired"):
        await verifier.verify(short)
    assert len(asked) == 3
    now = 1060.0
    await verifier.verify(long)
    assert len(asked) == 4
    # However many there are, they take bounded room.
    for number in range(40):
        verifier._keep(str(number).encode(), await verifier.verify(long))
    assert verifier._checked_bytes == sum(500 + 4 * len(user.user_id) for _, user in verifier._checked.values())


def test_a_key_that_is_not_sound_is_left_out() -> None:
    point, rsa_key, edwards = (published(KEYS[name]) for name in ("ES256", "RS256", "EdDSA"))
    for name in ("x", "y"):
        raw = bytearray(base64.urlsafe_b64decode(point[name] + "=="))
        raw[-1] ^= 1
        # A point that is not on its curve.
        assert read_key({**point, name: encode(bytes(raw))}) is None
        assert read_key({**point, name: encode(b"\0" * 32)}) is None
        assert read_key({key: value for key, value in point.items() if key != name}) is None
        assert read_key({**point, name: 7}) is None
    assert read_key({**point, "x": encode(b"\0" * 32), "y": encode(b"\0" * 32)}) is None
    for curve in ("P-384", "P-521", "secp256k1", "P-192", "", None, ["P-256"], "p-256"):
        assert read_key({**point, "crv": curve}) is None
    for curve in ("X25519", "Ed448", "ed25519"):
        assert read_key({**edwards, "crv": curve}) is None
    assert read_key({**edwards, "x": encode(b"\0" * 31)}) is None
    for exponent in (b"\0", b"\1", b"\2", b"\1\0\0", b"\xff" * 9):
        assert read_key({**rsa_key, "e": encode(exponent)}) is None
    for modulus in (b"", b"\0", b"\1" * 128, b"\xff" * 1025):
        assert read_key({**rsa_key, "n": encode(modulus)}) is None
    # 1024 bits.
    assert read_key(published_short()) is None
    for change in ({"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"kid": 7}, {"kty": "rsa"},
        {"alg": "HS256"},
                   {"alg": "RS256"}, {"alg": None}, {"kty": None}):  # fmt: skip
        assert read_key({**point, **change}) is None
    nonsenses: list[Any] = [None, [], "key", {}, {"kty": "EC"}, {"kty": []}]
    for nonsense in nonsenses:
        assert read_key(nonsense) is None
    # The public half counts, whatever else is published with it.
    found = read_key(
        {**point, "d": "AA", "x5u": "http://127.0.0.1:9/", "x5c": [7], "key_ops": ["verify"], "use": "sig"}
    )
    assert found is not None
    assert not found.public.is_private


def published_short() -> dict[str, Any]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    return {"kty": "RSA", "n": encode(numbers.n.to_bytes(128)), "e": encode(b"\1\0\1")}


SIGNED = made("EdDSA")
POSITION = st.integers(0, len(SIGNED) - 1)
CHARACTER = st.characters(max_codepoint=255)


@given(POSITION, CHARACTER, st.sampled_from(["replace", "insert", "delete"]))
def test_any_change_of_a_character_is_noticed(position: int, character: str, how: str) -> None:
    edits: dict[str, Callable[[], str]] = {
        "replace": lambda: SIGNED[:position] + character + SIGNED[position + 1 :],
        "insert": lambda: SIGNED[:position] + character + SIGNED[position:],
        "delete": lambda: SIGNED[:position] + SIGNED[position + 1 :],
    }
    text = edits[how]()
    try:
        accepted = is_signed_by(parse_jwt(text), key_of("EdDSA"))
    except Unauthorized:
        accepted = False
    assert accepted == (text == SIGNED)

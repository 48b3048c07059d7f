"""An OpenID Connect issuer on loopback: it publishes its keys, and signs JWTs with them and with others."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.fakes.http_server import Asked, HttpServer, reply, reply_json

AUDIENCE = "ai-agents"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def published(key: PrivateKey, **more: Any) -> dict[str, Any]:
    """The public half of a key, as a set has it."""
    made = RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey if _is_ec(key) else OKPKey
    return {**made.import_key(key).as_dict(private=False), **more}  # type: ignore[arg-type]  # each takes its own kind


def _is_ec(key: PrivateKey) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey)


def sign(algorithm: str, key: PrivateKey, message: bytes) -> bytes:
    """A signature in the form of JWS, by cryptography alone: what is tested does not make what it is tested with."""
    if isinstance(key, rsa.RSAPrivateKey):
        digest = _HASHES[algorithm[2:]]
        if algorithm.startswith("PS"):
            return key.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return key.sign(message, padding.PKCS1v15(), digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_HASHES[algorithm[2:]])))
        return r.to_bytes(size) + s.to_bytes(size)
    return key.sign(message)


def keyed_hash(secret: bytes, message: bytes) -> bytes:
    """The signature of HS256."""
    made = hmac.HMAC(secret, hashes.SHA256())
    made.update(message)
    return made.finalize()


def compact(header: Any, claims: Any, signer: Callable[[bytes], bytes]) -> str:
    """A compact JWT. Header and claims are objects, or bytes that are taken as they are."""
    parts = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, claims))
    signed = ".".join(map(encode, parts))
    return f"{signed}.{encode(signer(signed.encode()))}"


class Issuer:
    """The issuer. `keys` are its private keys by their ids; what it publishes can be changed, and slowed down."""

    def __init__(self) -> None:
        self.server = HttpServer()
        self.keys: dict[str, PrivateKey] = {"first": ec.generate_private_key(ec.SECP256R1())}
        self.more: list[Any] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.is_broken = False

    @property
    def address(self) -> str:
        """The issuer's id."""
        return self.server.url("/realm")

    @property
    def times_asked(self) -> int:
        """How often its keys were asked for."""
        return sum(each.target == "/keys" for each in self.server.asked)

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        self.server.on("/realm/.well-known/openid-configuration", self._discover)
        self.server.on("/keys", self._publish)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.__aexit__()

    async def _discover(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.answering.wait()
        document = {"issuer": self.address, "jwks_uri": self.server.url("/keys")}
        writer.write(reply(b"", status="500 Broken") if self.is_broken else reply_json(document))

    async def _publish(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        keys = [published(key, kid=kid, use="sig") for kid, key in self.keys.items()]
        writer.write(reply_json({"keys": [*keys, *self.more]}))

    def claims(self, subject: str = "ann", *, lasts_s: float = 300, **more: Any) -> dict[str, Any]:
        """The claims of a JWT that is good."""
        now = int(time.time())
        claims = {"iss": self.address, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": time.time() + lasts_s}
        return {name: value for name, value in (claims | more).items() if value is not None}

    def jwt(self, subject: str = "ann", *, kid: str = "first", lasts_s: float = 300, **more: Any) -> str:
        """A JWT that is good, unless `more` claims make it bad (None: without this one)."""
        key = self.keys[kid]
        claims = self.claims(subject, lasts_s=lasts_s, **more)
        return compact({"alg": "ES256", "kid": kid, "typ": "JWT"}, claims, lambda it: sign("ES256", key, it))

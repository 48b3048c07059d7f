"""Signed JWTs in their compact form, read as strictly as RFC 7515, 7519 and 8725 allow, and keys to check them with.

joserfc checks signatures. Which algorithm, which key and which form of a text it is asked about is decided here: one of
a few algorithms with public keys, a key that is for it, one text for each JWT.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from app.errors import Unauthorized

# Issuers' tokens have one or two thousand bytes, those with many groups some more.
MAX_JWT_BYTES = 16_384
_MAX_KID = 255
# Which keys an algorithm takes: their type, and their curve.
_KEYS_OF: Mapping[str, tuple[str, frozenset[str] | None]] = {
    **{f"{kind}{bits}": ("RSA", None) for kind in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", frozenset({"P-256"})),
    "ES384": ("EC", frozenset({"P-384"})),
    "ES512": ("EC", frozenset({"P-521"})),
    "EdDSA": ("OKP", frozenset({"Ed25519", "Ed448"})),
    "Ed25519": ("OKP", frozenset({"Ed25519"})),
    "Ed448": ("OKP", frozenset({"Ed448"})),
}
# A key as it is published has more: certificates and addresses of them, which are not read, and may be a secret one.
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_RSA_BITS = range(2048, 8193)
_MAX_EXPONENT_BITS = 64
# Types of other tokens of an issuer, such as `logout+jwt`, are for others to read (RFC 8725, 3.11).
_TYPES = {"jwt", "at+jwt"}
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")

PublicKey = RSAKey | ECKey | OKPKey


class _Registry(JWSRegistry):
    """The algorithms that are accepted. joserfc's own registry warns of `EdDSA`, under which issuers still sign."""

    max_header_length = max_payload_length = max_signature_length = MAX_JWT_BYTES

    def get_alg(self, name: str) -> Any:
        """The algorithm of this name. Raises `UnsupportedAlgorithmError`."""
        if name not in _KEYS_OF:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


# Parameters that it does not know are no reason to refuse (RFC 7515, 4), but for those of `crit`.
_REGISTRY = _Registry(strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of an issuer, and what it says that it is for."""

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey


@dataclass(frozen=True, slots=True)
class Jwt:
    """A JWT whose form is right, and whose signature has still to be checked."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: dict[str, Any] = field(repr=False)


def looks_like_jwt(text: str) -> bool:
    """Whether it has the form of a JWT, which no API key or token of the service has."""
    return text.count(".") == 2


def parse_jwt(text: str) -> Jwt:
    """Read a JWT. Raises `Unauthorized` with what is wrong."""
    if len(text) > MAX_JWT_BYTES:
        raise Unauthorized(f"This JWT has more than {MAX_JWT_BYTES} bytes.")
    try:
        header, claims, _signature = map(_decode, text.split("."))
    except ValueError:  # also for another number of segments
        raise Unauthorized("This is not a signed JWT.") from None
    return Jwt(text, *_read_header(_read_object(header)), _read_object(claims))


def is_signed_by(jwt: Jwt, key: Key) -> bool:
    """Whether the JWT was signed with this key."""
    try:
        deserialize_compact(jwt.text, key.public, registry=_REGISTRY)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def read_key(published: Any) -> Key | None:
    """A key of a set as it is published (RFC 7517); None for one that is not for JWTs, or is not safe."""
    if not isinstance(published, dict) or published.get("use", "sig") != "sig":
        return None
    operations = published.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kind, kid, curve = published.get("kty"), published.get("kid"), published.get("crv", "")
    if not (isinstance(kind, str) and kind in _PUBLIC and isinstance(kid, str | None) and isinstance(curve, str)):
        return None
    fitting = frozenset(
        name for name, (type_, curves) in _KEYS_OF.items() if type_ == kind and (curves is None or curve in curves)
    )
    if "alg" in published:
        fitting &= {published["alg"]} if isinstance(published["alg"], str) else frozenset()
    values = {name: published.get(name) for name in _PUBLIC[kind]}
    if not fitting or not all(isinstance(value, str) for value in values.values()):
        return None
    public = _import(kind, {"kty": kind, **values})
    return None if public is None else Key(kid, fitting, public)


def _import(kind: str, values: dict[str, Any]) -> PublicKey | None:
    """The public key, if its numbers are sound: RSA of a safe size, a point on its curve."""
    try:
        if kind == "RSA":
            if not _is_safe_rsa(values):
                return None
            return RSAKey.import_key(values)
        return ECKey.import_key(values) if kind == "EC" else OKPKey.import_key(values)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError):
        return None


def _is_safe_rsa(values: Mapping[str, str]) -> bool:
    modulus, exponent = (int.from_bytes(_decode(values[name])) for name in ("n", "e"))
    return modulus.bit_length() in _RSA_BITS and exponent % 2 == 1 and 1 < exponent < 1 << _MAX_EXPONENT_BITS


def _read_header(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """The algorithm and the id of the key. Keys that it brings (`jwk`) or points to (`jku`) are not read."""
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in _KEYS_OF:
        raise Unauthorized(f"A JWT is signed with one of {', '.join(_KEYS_OF)} here.")
    if "crit" in header or "b64" in header:
        raise Unauthorized("Critical extensions of JWTs are not understood here.")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise Unauthorized("This JWT is not of a type that gives access.")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
        raise Unauthorized("The id of the key (kid) of this JWT is not a text of at most 255 characters.")
    return algorithm, kid


def _decode(segment: str) -> bytes:
    """The bytes of a base64url text without padding, of which there is one form only. Raises `ValueError`."""
    if _SEGMENT.fullmatch(segment):
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() == segment:
            return decoded
    raise ValueError("not in base64url")


def _read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 in which no name is twice, since readers differ in which they believe."""
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unauthorized("The header and the claims of a JWT are JSON objects whose names are different.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")

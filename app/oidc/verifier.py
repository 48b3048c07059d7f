"""Who a JWT of the issuer says that its holder is, and until when."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import Unauthorized
from app.oidc.jws import Jwt, is_signed_by, parse_jwt
from app.oidc.keys import IssuerKeys

MAX_USER_ID = 255
# How far an issuer's clock may be ahead. One that is behind makes its JWTs end early; past `exp` none is taken.
_SKEW_S = 60.0
# A JWT that was checked is not checked again for a minute: that costs 0.05 to 0.4 ms, as much as a request.
_CHECKED_S = 60.0
_MAX_CHECKED_BYTES = 4 * 1024 * 1024
# The end of the year 9999.
_LATEST = 253_402_300_799
# An entry without the characters of its user.
_ENTRY_BYTES = 500
_BYTES_PER_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class JwtUser:
    """The user of a JWT that is valid. `expires_at` is in seconds since 1970."""

    user_id: str
    is_admin: bool
    expires_at: float


@dataclass(frozen=True, slots=True)
class AdminClaim:
    """What the claims of an admin have: under this name this text, or a list with it; without a text, `true`.

    A name that no claim has is a path: `realm_access.roles` is `roles` in `realm_access`.
    """

    name: str
    text: str | None

    def fits(self, claims: Mapping[str, Any]) -> bool:
        """Whether these are an admin's claims."""
        found: Any = claims
        for name in [self.name] if self.name in claims else self.name.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if self.text is None:
            return found is True
        return found == self.text or (isinstance(found, list) and self.text in found)


def parse_admin_claim(given: str) -> AdminClaim:
    """The claim that `name=text` or `name` stands for, as the settings check it."""
    name, _, text = given.partition("=")
    return AdminClaim(name, text or None)


class JwtVerifier:
    """Checks the JWTs of one issuer. What is checked is kept for a minute, and never past its end."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        admin_claim: AdminClaim | None = None,
        keys: IssuerKeys | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys or IssuerKeys(issuer)
        self._issuer = issuer
        self._audience = audience
        self._admin_claim = admin_claim
        self._clock = clock
        # By the hash of the JWT, so that long ones cost no more: when it was checked, and its user.
        self._checked: OrderedDict[bytes, tuple[float, JwtUser]] = OrderedDict()
        self._checked_bytes = 0

    def is_own(self, user_id: str) -> bool:
        """Whether the id is in the namespace of the issuer's users."""
        return user_id.startswith(f"{self._issuer}|")

    async def verify(self, text: str) -> JwtUser:
        """The user of this JWT. Raises `Unauthorized` with what is wrong, and `IssuerUnavailable`."""
        digest = hashlib.sha256(text.encode()).digest()
        known = self._find_checked(digest)
        if known is not None:
            return known
        jwt = parse_jwt(text)
        # The claims first: what is another issuer's, or has expired, is no reason to ask for keys.
        user = self._user_of(jwt)
        if not is_signed_by(jwt, await self.keys.find(jwt.algorithm, jwt.kid)):
            raise Unauthorized("The signature of this JWT is wrong.")
        self._keep(digest, user)
        return user

    def _user_of(self, jwt: Jwt) -> JwtUser:
        """The user that the claims name, if the claims are for this service and for now."""
        claims, now = jwt.claims, self._clock()
        if claims.get("iss") != self._issuer:
            raise Unauthorized("This JWT is of another issuer.")
        audience = claims.get("aud")
        if audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise Unauthorized("This JWT is for another audience.")
        expires_at = _time(claims, "exp")
        if expires_at is None or expires_at <= now:
            raise Unauthorized("This JWT has expired, or does not say when it expires (exp).")
        for name in ("nbf", "iat"):
            moment = _time(claims, name)
            if moment is not None and moment > now + _SKEW_S:
                raise Unauthorized(f"This JWT is not valid yet ({name}).")
        if "events" in claims:
            raise Unauthorized("This JWT tells of an event, and gives no access.")
        is_admin = self._admin_claim is not None and self._admin_claim.fits(claims)
        return JwtUser(self._user_id(claims.get("sub")), is_admin, expires_at)

    def _user_id(self, subject: Any) -> str:
        if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
            raise Unauthorized("The subject (sub) of this JWT is not a line of text.")
        user_id = f"{self._issuer}|{subject}"
        if len(user_id) > MAX_USER_ID:
            raise Unauthorized(f"The issuer and the subject of this JWT have more than {MAX_USER_ID} characters.")
        return user_id

    def _find_checked(self, digest: bytes) -> JwtUser | None:
        found = self._checked.get(digest)
        if found is None:
            return None
        checked_at, user = found
        now = self._clock()
        if checked_at <= now < min(checked_at + _CHECKED_S, user.expires_at):
            return user
        self._forget(digest)
        return None

    def _keep(self, digest: bytes, user: JwtUser) -> None:
        if digest not in self._checked:
            self._checked_bytes += _cost(user)
        self._checked[digest] = (self._clock(), user)
        while self._checked_bytes > _MAX_CHECKED_BYTES:
            self._forget(next(iter(self._checked)))

    def _forget(self, digest: bytes) -> None:
        self._checked_bytes -= _cost(self._checked.pop(digest)[1])


def _cost(user: JwtUser) -> int:
    return _ENTRY_BYTES + _BYTES_PER_CHARACTER * len(user.user_id)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A time in seconds since 1970; None if there is none. Raises `Unauthorized` for what is no number."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f"A time of this JWT ({name}) is not a number.")
    # False for a number that is none, too.
    if not 0 <= value <= _LATEST:
        raise Unauthorized(f"A time of this JWT ({name}) is out of range.")
    return float(value)

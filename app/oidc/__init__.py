"""Users of an OpenID Connect issuer: JWTs are checked here, with the issuer's keys. See docs/access.md."""

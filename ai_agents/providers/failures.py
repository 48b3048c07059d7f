"""The log of failures of providers: one line for each, with everything that helps to find its cause, and no secret."""

import logging
from urllib.parse import urlsplit, urlunsplit

from ai_agents.core import tracing
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.log_context import log_context
from ai_agents.core.observing import observer
from ai_agents.providers.errors import mask
from ai_agents.providers.spans import provider_name

_log = logging.getLogger(__name__)


def log_failure(error: ProviderError, *, provider: str, model: str, address: str | None = None) -> None:
    """Log a failure, also where it is tried again. `address` is the server's, where there is one."""
    said = error.upstream or {"status": None, "message": ""}
    facts = {
        "provider": provider,
        "model": model,
        "address": None if address is None else _without_user(address),
        "status": said["status"],
        "said": said["message"],
        "cause": error.cause or (mask(repr(error.__cause__)) if error.__cause__ else None),
        **log_context(),
    }
    observer().provider_failed(provider, error.code)
    named = {tracing.PROVIDER: provider_name(provider), tracing.MODEL: model}
    tracing.note(tracing.REQUEST_FAILED, {**named, tracing.ERROR_TYPE: error.code})
    _log.warning("%s", error, extra=facts)


def _without_user(address: str) -> str:
    """The address without a name and a password that may stand in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

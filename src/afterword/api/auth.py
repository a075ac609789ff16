"""From a header to an actor, from memory."""

from __future__ import annotations

from afterword.service.access import actor_of, digest, unauthorized
from afterword.service.context import Actor, Context, Home


class Gate:
    """Know who calls. `administrator_key` is the one key that is not in the store."""

    def __init__(self, home: Home, administrator_key: str) -> None:
        self._catalog = home.catalog
        self._administrator = digest(administrator_key)

    def actor(self, headers: dict[bytes, bytes]) -> Actor:
        """Return who holds the key of `Authorization: Bearer KEY`. Raises `Unauthorized`."""
        given = headers.get(b"authorization")
        if given is None:
            raise unauthorized("The call has no API key.")
        scheme, _, key = given.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise unauthorized("The Authorization header is not 'Bearer KEY'.")
        return actor_of(self._catalog, self._administrator, key.strip(), Context.now())

"""Encryption of secrets at rest, with the server's own secret."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from afterword.errors import Invalid

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Secrets:
    """Encrypts and decrypts small objects. `secret` is the setting; without it, one is created in `directory` on first
    use."""

    def __init__(self, secret: str | None, directory: Path) -> None:
        self._secret = secret
        self._file = directory / "secret.key"

    def make(self) -> None:
        """Create the secret now if there is none, so that several processes do not create one each."""
        if self._secret is None:
            self._read_or_make_secret()

    def seal(self, value: dict[str, Any]) -> bytes:
        """Encrypt an object."""
        return self._fernet.encrypt(msgspec.json.encode(value))

    def open(self, sealed: bytes, owner: str) -> dict[str, Any]:
        """Decrypt an object. Raises `Invalid` if it was encrypted with another secret; `owner` says whose it is."""
        from cryptography.fernet import InvalidToken

        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise Invalid(
                f"The API key of {owner} was encrypted with another secret than this server's.",
                code="secret_changed",
                hint="Restore AFTERWORD_SECRET_KEY (or secret.key in the data directory), or set the api_key anew.",
            ) from None

    @cached_property
    def _fernet(self) -> Fernet:
        # Imported on first use: most starts do not need it.
        from cryptography.fernet import Fernet

        secret = self._secret or self._read_or_make_secret()
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))

    def _read_or_make_secret(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            if secret := self._file.read_text().strip():
                return secret
        secret = secrets.token_urlsafe(48)
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(secret + "\n")
            out.flush()
            os.fsync(out.fileno())
        # Sync the directory entry, too: stored rows must not outlive the secret that encrypted them.
        directory = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return secret

"""The key that signs records (Ed25519, RFC 8032), made on the first start."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.errors import ConfigError
from guard.keyfile import read_or_make

PRIVATE_NAME = "record-key.pem"
PUBLIC_NAME = "record-key.pub.pem"


class SigningKey:
    """Signs records; ``id`` stands in each of them."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.id = key_id(self.public)

    def sign(self, content: bytes) -> bytes:
        """Return the signature of ``content``, 64 bytes."""
        return self._private.sign(content)


def key_id(public: Ed25519PublicKey) -> str:
    """Return the first 16 hex digits of the SHA-256 of the key's SubjectPublicKeyInfo (RFC 8410)."""
    return hashlib.sha256(_public_der(public)).hexdigest()[:16]


def load_signing_key(folder: Path) -> SigningKey:
    """Return the key kept in ``folder``, made on the first start, its public half written beside it.

    A public half that belongs to an earlier key is kept under that key's id: what was signed with it
    could not be verified otherwise.

    Raises:
        ConfigError: ``key_unreadable``, ``key_exposed`` or ``key_invalid``; a file cannot be made or
            read, others can read the private one, or one of them is damaged.
    """
    path = folder / PRIVATE_NAME
    pem = read_or_make(path, _new_private_pem, "the key that signs records,")
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _damaged(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _damaged(path)
    key = SigningKey(private)
    _write_public(folder / PUBLIC_NAME, key)
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key of a PEM file.

    Raises:
        ConfigError: ``key_unreadable`` or ``key_invalid``.
    """
    try:
        public = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigError("key_unreadable", f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("key_invalid", f"{path} is no public key in PEM form") from error
    if not isinstance(public, Ed25519PublicKey):
        raise ConfigError("key_invalid", f"{path} is no Ed25519 key; records are signed with one")
    return public


def public_keys(folder: Path) -> list[Path]:
    """Return the public keys kept in a data folder, that of the key in use first."""
    return sorted(folder.glob("record-key*.pub.pem"), key=lambda path: (path.name != PUBLIC_NAME, path.name))


def _write_public(path: Path, key: SigningKey) -> None:
    try:
        if path.exists():
            earlier = key_id(load_public_key(path))
            if earlier == key.id:
                return
            path.rename(path.with_name(f"record-key-{earlier}.pub.pem"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_public_pem(key.public))
    except OSError as error:
        raise ConfigError("key_unreadable", f"cannot write {path}: {error.strerror}") from error


def _new_private_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_der(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _public_pem(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _damaged(path: Path) -> ConfigError:
    # unlike the token key it is worth looking for a backup first: records name the key that signed them
    return ConfigError(
        "key_invalid", f"{path} is damaged: put it back from a backup, or remove it to make a new one"
    )

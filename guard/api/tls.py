"""The server's certificate: configured, or self-signed and made on the first start."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guard.clock import Clock
from guard.errors import ConfigError

VALID_DAYS = 397
"""Browsers distrust server certificates that are valid for longer."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of the server's certificate chain and of its key."""

    certificate: Path
    key: Path


def own_certificate(folder: Path, clock: Clock, hosts: Sequence[str] = ()) -> CertificateFiles:
    """Return the self-signed certificate kept in ``folder``, making it on the first start.

    A new one is made when it has less than a day to live.

    Args:
        folder: the data folder; must exist.
        hosts: names and addresses people reach the server by, besides localhost and its own.

    Raises:
        ConfigError: the files cannot be read or written.
    """
    files = CertificateFiles(folder / "tls-cert.pem", folder / "tls-key.pem")
    try:
        if not _usable(files, clock):
            _make(files, clock, hosts)
    except OSError as error:
        raise ConfigError("tls_unreadable", f"cannot use {error.filename}: {error.strerror}") from error
    return files


def check_files(files: CertificateFiles) -> CertificateFiles:
    """Return configured files after loading them once.

    Raises:
        ConfigError: ``tls_invalid``; one is missing, not PEM, or they do not belong together.
    """
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        where = f"{files.certificate} and {files.key}"
        raise ConfigError("tls_invalid", f"cannot use the certificate {where}: {error}") from error
    return files


def _usable(files: CertificateFiles, clock: Clock) -> bool:
    if not (files.certificate.exists() and files.key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    except ValueError as error:
        raise ConfigError(
            "tls_invalid", f"{files.certificate} is damaged; remove it to make a new one"
        ) from error
    return certificate.not_valid_after_utc - clock.utc() > timedelta(days=1)


def _make(files: CertificateFiles, clock: Clock, hosts: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "guard")])
    now = clock.utc()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files.key.unlink(missing_ok=True)
    with os.fdopen(os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    wanted = ["localhost", "127.0.0.1", "::1", *host_addresses(), socket.gethostname(), *hosts]
    names: list[x509.GeneralName] = []
    for text in dict.fromkeys(wanted):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            if text.isascii() and text:
                names.append(x509.DNSName(text))
    return names


def host_addresses() -> list[str]:
    """Return the addresses this machine would use towards others; nothing is sent to find out."""
    found = []
    for family, probe in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probing:
                probing.connect((probe, 9))
                found.append(str(probing.getsockname()[0]))
        except OSError:
            continue  # no route of this family
    return found

"""The certificate of a data folder's listening windows; nobody else vouches for it.

Links name its fingerprint, which is compared instead. It speaks to nobody.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crdtsync.errors import DataError, LogUnwritable
from crdtsync.private_files import write_once

__all__ = ["Certificate", "load_certificate"]

CERTIFICATE_FILE: Final = "certificate.pem"
"""The certificate and its key, mode 0600. Without it, old links lead nowhere."""

LIFE_DAYS: Final = 36_500
"""Nobody checks when it ends: the fingerprint is all that is trusted."""

_END: Final = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key.

    Attributes:
        path: PEM: the certificate, then the key.
        pin: SHA-256 of the certificate, in hex.
    """

    path: Path
    pin: str


def load_certificate(folder: Path) -> Certificate:
    """Read the certificate of a folder, making it at first use.

    Raises:
        DataError: The file is not what this program wrote.
        LogUnwritable: There is none and none can be written.
    """
    path = folder / CERTIFICATE_FILE
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        text = _make(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    try:
        der = ssl.PEM_cert_to_DER_cert(text.partition(_END)[0] + _END)
    except ValueError as error:
        raise DataError(
            f"{path} is damaged",
            hint="Move it away; a new one will be made, and old links are void.",
        ) from error
    return Certificate(path, hashlib.sha256(der).hexdigest())


def _make(path: Path) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_once(path, _new())
    except OSError as error:
        raise LogUnwritable(
            f"{path} cannot be written: {error.strerror}",
            hint="Choose another data folder with --data, or make it writable.",
        ) from error


def _new() -> str:
    """A new certificate and its key."""
    # Slow to import, and needed once per data folder.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crdtsync")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return (public + secret).decode("ascii")

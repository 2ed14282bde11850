"""The certificate of listening windows: made once, kept to oneself."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crdtsync_relay.certificate import CERTIFICATE_FILE, load_certificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from crdtsync.errors import DataError


def test_it_is_made_once_and_its_key_is_for_the_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        pins = {c.pin for c in threads.map(load_certificate, [tmp_path / "new"] * 8)}
    (pin,) = pins
    path = tmp_path / "new" / CERTIFICATE_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == [CERTIFICATE_FILE]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    read = x509.load_pem_x509_certificate(path.read_bytes())
    assert pin == read.fingerprint(hashes.SHA256()).hex()


def test_two_folders_have_two_certificates(tmp_path: Path) -> None:
    one, other = load_certificate(tmp_path / "a"), load_certificate(tmp_path / "b")
    assert one.pin != other.pin


@pytest.mark.parametrize("text", ["", "nothing", "\ufffd"])
def test_a_damaged_one_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / CERTIFICATE_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"certificate\.pem"):
        load_certificate(tmp_path)

"""The key that signs records: made once, private, never replaced in silence."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from guard.errors import ConfigError
from guard.evidence.keys import PRIVATE_NAME, PUBLIC_NAME, load_public_key, load_signing_key, public_keys


def test_the_key_is_made_once_private_with_its_public_half_beside_it(tmp_path: Path) -> None:
    first = load_signing_key(tmp_path)
    assert stat.S_IMODE((tmp_path / PRIVATE_NAME).stat().st_mode) == 0o600
    assert load_signing_key(tmp_path).id == first.id
    public = load_public_key(tmp_path / PUBLIC_NAME)
    public.verify(first.sign(b"content"), b"content")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert first.id == hashlib.sha256(der).hexdigest()[:16]


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_signing_key(tmp_path)
    (tmp_path / PRIVATE_NAME).chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        load_signing_key(tmp_path)
    assert caught.value.code == "key_exposed"


def other_kind() -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("content", [b"", b"no key", other_kind()], ids=["empty", "text", "other kind"])
def test_a_damaged_private_key_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    load_signing_key(tmp_path)
    (tmp_path / PRIVATE_NAME).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_signing_key(tmp_path)
    assert caught.value.code == "key_invalid"
    assert (tmp_path / PRIVATE_NAME).read_bytes() == content


def test_a_new_key_keeps_the_public_half_of_the_earlier_one(tmp_path: Path) -> None:
    first = load_signing_key(tmp_path)
    (tmp_path / PRIVATE_NAME).unlink()
    second = load_signing_key(tmp_path)
    assert second.id != first.id
    kept = public_keys(tmp_path)
    assert [path.name for path in kept] == [PUBLIC_NAME, f"record-key-{first.id}.pub.pem"]
    load_public_key(kept[1]).verify(first.sign(b"x"), b"x")
    load_public_key(kept[0]).verify(second.sign(b"x"), b"x")


def test_a_removed_public_half_is_written_again_and_a_damaged_one_refused(tmp_path: Path) -> None:
    first = load_signing_key(tmp_path)
    (tmp_path / PUBLIC_NAME).unlink()
    load_signing_key(tmp_path)
    load_public_key(tmp_path / PUBLIC_NAME).verify(first.sign(b"x"), b"x")
    (tmp_path / PUBLIC_NAME).write_bytes(b"damaged")
    with pytest.raises(ConfigError) as caught:
        load_signing_key(tmp_path)
    assert caught.value.code == "key_invalid"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere") as caught:
        load_signing_key(tmp_path / "nowhere")
    assert caught.value.code == "key_unreadable"
    with pytest.raises(ConfigError) as caught:
        load_public_key(tmp_path / "nowhere.pem")
    assert caught.value.code == "key_unreadable"

"""Releases: one written form, one key, and no way to pass anything else off as one."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import NodeError
from job_item.release.keys import is_key, make_key, public_key, sign, verify
from job_item.release.manifest import HEAD, SIZE_MAX_BYTES, Manifest, SignedRelease, parse, take_apart
from job_item.release.version import is_version, rank
from tests.releases import RELEASE

NUMBERS = st.integers(min_value=0, max_value=10**9 - 1)
VERSIONS = st.lists(NUMBERS, min_size=2, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
RELEASES = st.builds(
    Manifest,
    version=VERSIONS,
    sequence=st.integers(1, 1 << 53),
    issued_at=st.integers(1, 1 << 53),
    channel=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    platform=st.sampled_from(["any", "linux-x86_64", "darwin-arm64"]),
    python=st.sampled_from(["3.11", "3.14"]),
    artifact=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True),
    size=st.integers(1, 1 << 40),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "key"
    make_key(file)
    return file


@given(RELEASES)
def test_a_manifest_is_read_back_as_it_was_written(release: Manifest) -> None:
    content = release.to_bytes()
    assert content.isascii() and b"\n" not in content
    assert parse(content) == release


@given(st.binary(max_size=400))
def test_any_bytes_are_a_release_or_refused_with_the_code(raw: bytes) -> None:
    for text in (raw, HEAD + b"\n" + raw, HEAD + b"\n" + b64encode(b"s" * 64) + b"\n" + raw + b"\n"):
        with pytest.raises(NodeError) as refused:
            parse(take_apart(text).content)
        assert refused.value.code == "ERR-REL-002"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(st.sampled_from(sorted(asdict(RELEASE))), JSON)
def test_a_member_has_a_value_that_it_can_have_or_the_manifest_is_refused(name: str, value: Any) -> None:
    content = json.dumps(asdict(RELEASE) | {name: value}, sort_keys=True, separators=(",", ":")).encode()
    try:
        assert parse(content).to_bytes() == content
    except NodeError as error:
        assert error.code == "ERR-REL-002"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(asdict(RELEASE), sort_keys=True).encode(),
        RELEASE.to_bytes() + b" ",
        RELEASE.to_bytes().replace(b'"size":1234', b'"size":1234,"size":1234'),
        RELEASE.to_bytes().replace(b'"size":1234', b'"size":1234.0'),
        RELEASE.to_bytes().replace(b'"size":1234', b'"size":true'),
        RELEASE.to_bytes().replace(b"1.4.2", b"1.4.02"),
        RELEASE.to_bytes().replace(b"job_item-1.4.2.pyz", b"../job_item.pyz"),
        RELEASE.to_bytes()[:-1] + b',"more":1}',
        b"[" * 5000,
    ],
    ids=["blanks", "a blank", "twice", "a fraction", "a truth", "a zero", "a path", "one more", "deep"],
)
def test_there_is_one_way_to_write_a_manifest(content: bytes) -> None:
    with pytest.raises(NodeError) as refused:
        parse(content)
    assert refused.value.code == "ERR-REL-002"


def test_a_signed_release_is_verified_and_read(key: Path) -> None:
    assert verify(sign(RELEASE, key), public_key(key)) == RELEASE


def test_a_release_of_another_key_is_refused(key: Path, tmp_path: Path) -> None:
    with pytest.raises(NodeError) as refused:
        verify(sign(RELEASE, key), make_key(tmp_path / "other"))
    assert refused.value.code == "ERR-REL-003"


def test_a_signature_fits_no_other_manifest(key: Path) -> None:
    signed = take_apart(sign(RELEASE, key))
    forged = SignedRelease(signed.signature, replace(RELEASE, sequence=8).to_bytes())
    with pytest.raises(NodeError) as refused:
        verify(forged.to_bytes(), public_key(key))
    assert refused.value.code == "ERR-REL-003"


def test_no_part_of_a_release_file_can_be_changed_or_left_out(key: Path) -> None:
    raw = sign(RELEASE, key)
    for at in range(len(raw)):
        for changed in (raw[:at], raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]):
            with pytest.raises(NodeError) as refused:
                verify(changed, public_key(key))
            assert refused.value.code in ("ERR-REL-002", "ERR-REL-003")


def test_a_release_file_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(NodeError, match="more than 16 KiB"):
        take_apart(b"x" * (SIZE_MAX_BYTES + 1))


def test_a_key_is_for_its_owner_alone_and_never_takes_the_place_of_another(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = make_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert is_key(key) and key not in file.read_text()
    with pytest.raises(NodeError) as refused:
        make_key(file)
    assert refused.value.code == "ERR-REL-016"
    assert public_key(file) == key


@pytest.mark.parametrize("content", ["", "x", "AAAA", "A" * 44, "\0" * 44])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(NodeError) as refused:
        sign(RELEASE, file)
    assert refused.value.code == "ERR-REL-016"


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_numbers(one: str, other: str) -> None:
    padded = [[*map(int, version.split(".")), 0, 0][:4] for version in (one, other)]
    assert (rank(one) < rank(other)) == (padded[0] < padded[1])


@pytest.mark.parametrize("text", ["", "1", "1.", "v1.0", "1.0-rc1", "01.0", "1.0.0.0.0", "1.٣", "1.0\n", "../1.0"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="no version"):
        rank(text)

"""Names, URIs, credentials and words of storages: what is pure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.errors import NodeError, Unavailable
from job_item.storage.display import Lines
from job_item.storage.failure import of_bucket
from job_item.storage.keys import Keys, certificates, keys_for
from job_item.storage.names import check_name, content_type_of
from job_item.storage.place import BucketPlace, FolderPlace, check_endpoint, read_uri

ENDPOINT = "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "name",
    ["a", "suitable.geojson", "charts/depth chart.png", "ümlaut/é.txt", "p%20q", "a+b=c&d?e#f", "..x", ".hidden", "~"],
)
def test_a_relative_name_is_one(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../up",
        "a/../../up",
        "a/..",
        ".",
        "./a",
        "/etc/passwd",
        "//a",
        "a//b",
        "a/",
        "a\nb",
        "a\0b",
        "\ud800",
        "x" * 1025,
        "ü" * 513,
        ".unfinished-1",
        "sub/.unfinished-1/x",
    ],
)
def test_a_name_that_leads_out_or_is_none_is_refused(name: str) -> None:
    with pytest.raises(NodeError) as refused:
        check_name(name)
    assert refused.value.code == "ERR-STG-002"
    assert "\n" not in refused.value.message
    refused.value.message.encode()


@given(st.text())
def test_no_accepted_name_leaves_its_folder(name: str) -> None:
    try:
        check_name(name)
    except NodeError:
        return
    root = Path("/a/storage")
    assert (root / name).is_relative_to(root)
    assert ".." not in (root / name).parts
    assert str(root / name) == f"{root}/{name}"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket", BucketPlace("bucket", "")),
        ("s3://bucket/", BucketPlace("bucket", "")),
        ("s3://bucket/results/test/7/1760000000000", BucketPlace("bucket", "results/test/7/1760000000000")),
        ("s3://my.bucket-1/a b/c%20d/", BucketPlace("my.bucket-1", "a b/c%20d")),
        ("file:///var/results", FolderPlace(Path("/var/results"))),
        ("file://localhost/var/a%20b", FolderPlace(Path("/var/a b"))),
        ("/var/results/", FolderPlace(Path("/var/results"))),
        ("results", FolderPlace(Path.cwd() / "results")),
    ],
)
def test_a_uri_names_a_place(uri: str, place: object) -> None:
    assert read_uri(uri) == place


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("", "ERR-STG-001"),
        ("s3://", "ERR-STG-001"),
        ("s3:///key", "ERR-STG-001"),
        ("s3://name:secret@bucket/key", "ERR-STG-001"),
        ("S3://bucket/key", "ERR-STG-001"),
        ("gs://bucket/key", "ERR-STG-001"),
        ("https://bucket/key", "ERR-STG-001"),
        ("file://other/var", "ERR-STG-001"),
        ("file://var", "ERR-STG-001"),
        ("a\0b", "ERR-STG-001"),
        ("s3://bucket/a/../b", "ERR-STG-002"),
        ("s3://bucket//a", "ERR-STG-002"),
    ],
)
def test_a_uri_that_names_none_is_refused(uri: str, code: str) -> None:
    with pytest.raises(NodeError) as refused:
        read_uri(uri)
    assert refused.value.code == code
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("endpoint", ["http://minio:9000", "https://s3.example.org/", "http://[::1]:9000"])
def test_an_endpoint_is_the_address_of_a_server(endpoint: str) -> None:
    assert check_endpoint(endpoint) == endpoint.rstrip("/")


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "ftp://minio", "http://", "http://[", "http://a:secret@minio:9000", "http://a b"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(NodeError) as refused:
        check_endpoint(endpoint)
    assert refused.value.code == "ERR-STG-001"
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("suitable.geojson", "application/geo+json"),
        ("regional_assessment.tiff", "image/tiff"),
        ("A.TIF", "image/tiff"),
        ("sub/table.csv", "text/csv"),
        ("table.csv.gz", "application/gzip"),
        ("error.txt", "text/plain"),
        ("depth.png", "image/png"),
        ("result.json", "application/json"),
        ("metrics.parquet", "application/vnd.apache.parquet"),
        ("README", "application/octet-stream"),
        ("what.is-this", "application/octet-stream"),
    ],
)
def test_the_content_type_is_guessed_from_the_name(name: str, kind: str) -> None:
    assert content_type_of(name) == kind


def test_an_endpoint_goes_with_the_names_that_the_deployment_knows() -> None:
    keys = keys_for(ENDPOINT, {"MINIO_USERNAME": "me", "MINIO_PASSWORD": "secret", "AWS_ACCESS_KEY_ID": "other"})
    assert keys == Keys("me", "secret")
    assert "secret" not in repr(keys)


def test_an_endpoint_without_them_is_left_to_the_chain_where_that_has_something() -> None:
    assert keys_for(ENDPOINT, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x", "MINIO_USERNAME": ""}) is None


@pytest.mark.parametrize(
    ("environ", "lacking"),
    [
        ({}, "MINIO_USERNAME and MINIO_PASSWORD is not set"),
        ({"MINIO_USERNAME": "me"}, ": MINIO_PASSWORD is not set"),
        ({"MINIO_PASSWORD": "secret", "AWS_ACCESS_KEY_ID": "x"}, ": MINIO_USERNAME is not set"),
    ],
)
def test_missing_credentials_are_named(environ: dict[str, str], lacking: str) -> None:
    with pytest.raises(NodeError, match=lacking) as refused:
        keys_for(ENDPOINT, environ)
    assert refused.value.code == "ERR-STG-008"


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    assert certificates({"AWS_CA_BUNDLE": ""}) is None
    with pytest.raises(NodeError, match=r"ca\.pem cannot be read: No such file") as refused:
        certificates({"AWS_CA_BUNDLE": str(tmp_path / "ca.pem")})
    assert refused.value.code == "ERR-STG-008"


def answer(status: int, code: str) -> Exception:
    """An error as the library words one."""
    body = f"<Error><Code>{code}</Code><Message>It is so.</Message></Error>" if code else ""
    return OSError(f"Generic S3 error: Error - Server returned non-2xx status code: {status} Word: {body}\n\nDebug ...")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (answer(404, "NoSuchBucket"), "ERR-STG-005", "There is no bucket for s3://b/p at http://127.0.0.1:9000."),
        (answer(404, "NoSuchKey"), "ERR-STG-006", "There is no a.txt in s3://b/p."),
        (answer(403, "SignatureDoesNotMatch"), "ERR-STG-004", "does not allow access to s3://b/p: It is so."),
        (answer(403, ""), "ERR-STG-004", "does not allow access to s3://b/p: status 403."),
        (answer(400, "ExpiredToken"), "ERR-STG-004", "It is so."),
        (answer(507, "XMinioStorageFull"), "ERR-STG-007", "is full."),
        (answer(400, "XMinioAdminBucketQuotaExceeded"), "ERR-STG-007", "is full."),
        (answer(400, "EntityTooLarge"), "ERR-STG-009", "refuses a.txt: status 400 EntityTooLarge It is so."),
        (answer(503, "SlowDown"), "ERR-STG-003", "refuses a.txt: status 503 SlowDown It is so."),
        (answer(429, ""), "ERR-STG-003", "status 429."),
        (
            OSError('Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }'),
            "ERR-STG-003",
            "refused.",
        ),
        (OSError("Connect, dns error"), "ERR-STG-003", "the name of its host is not known."),
        (OSError("invalid peer certificate: InvalidCertificate(UnknownIssuer)"), "ERR-STG-003", "is not trusted."),
        (
            OSError("without LOCATION, this normally indicates an incorrectly configured region"),
            "ERR-STG-003",
            "region",
        ),
        (OSError("what nobody has seen yet"), "ERR-STG-003", "no reason is given."),
        (
            OSError("PUT http://169.254.169.254/latest/api/token"),
            "ERR-STG-008",
            "There are no credentials for s3://b/p",
        ),
    ],
)
def test_what_a_server_says_becomes_one_sentence_and_a_code(error: Exception, code: str, said: str) -> None:
    failure = of_bucket(error, "a.txt", "s3://b/p", ENDPOINT)
    assert failure.code == code
    assert said in failure.message
    assert isinstance(failure, Unavailable) == (code == "ERR-STG-003")


def test_a_slow_transfer_says_now_and_then_how_far_it_has_come() -> None:
    clock, said = iter([0.0, 1.0, 9.0, 12.0, 13.0, 20.0]), list[str]()
    lines = Lines("upload of a.tiff", lambda: next(clock), said.append)
    for done_mib in (10, 90, 120, 130, 2048):
        lines(done_mib << 20, 2048 << 20)
    assert said == [
        "upload of a.tiff: 120 of 2,048 MiB, 10.0 MiB/s",
        "upload of a.tiff: 2,048 of 2,048 MiB, 102.4 MiB/s",
    ]


def test_a_fast_transfer_says_nothing() -> None:
    clock, said = iter([0.0, 1.0, 2.0]), list[str]()
    lines = Lines("upload of a.tiff", lambda: next(clock), said.append)
    lines(64 << 20, 128 << 20)
    lines(128 << 20, 128 << 20)
    assert said == []

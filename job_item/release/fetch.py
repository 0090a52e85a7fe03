"""Getting a release and its artifact: https, or this machine; bounded in size and time; to the disk as it comes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import get_environ_proxies

from job_item.bounded import within
from job_item.errors import NodeError, Unavailable
from job_item.release.manifest import SIZE_MAX_BYTES, Manifest
from job_item.release.shelf import not_kept
from job_item.sdk.answer import origin
from job_item.sdk.courier import cause, certificates, is_loopback

CONNECT_S = 10.0
SILENCE_S = 30.0
"""How long nothing may come."""
WHOLE_S = 1800.0
"""How long the whole may take, also where something comes all the time."""
REDIRECTS_MAX = 5
_BLOCK_BYTES = 1 << 16


def fetch_release(url: str, whole_s: float = WHOLE_S) -> bytes:
    """Get a release file.

    Raises NodeError: ERR-REL-002 (it is none), ERR-REL-009 (the address is not to be used), ERR-REL-010 (Unavailable:
    it cannot be had).
    """

    def fetch() -> bytes:
        content = bytearray()
        with _open(url) as blocks:
            for block in blocks:
                content += block
                if len(content) > SIZE_MAX_BYTES:
                    raise NodeError("ERR-REL-002", f"What {origin(url)} gives is no release: it is too long.")
        return bytes(content)

    check_address(url)
    return within(whole_s, fetch, _late(url, whole_s))


def fetch_artifact(url: str, release: Manifest, file: Path, whole_s: float = WHOLE_S) -> None:
    """Get the artifact that lies beside the release file at `url`, and write it to `file`, on the disk when it returns.

    Raises NodeError: ERR-REL-009, ERR-REL-010, ERR-REL-011 (it is not what the release says), ERR-REL-012 (it cannot be
    written).
    """
    source = urljoin(url, release.artifact)
    check_address(source)
    within(whole_s, lambda: _fetch_artifact(source, release, file), _late(source, whole_s))


def _fetch_artifact(source: str, release: Manifest, file: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    with _open(source) as blocks, _written(file) as write:
        for block in blocks:
            size += len(block)
            if size > release.size:
                raise _other(f"it goes on after {release.size} bytes")
            digest.update(block)
            write(block)
    if size != release.size:
        raise _other(f"it ends after {size} of {release.size} bytes")
    if digest.hexdigest() != release.sha256:
        raise _other("its digest is another")


def check_address(url: str) -> None:
    """Refuse an address that others can meddle with. Raises NodeError (ERR-REL-009)."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None:
        raise NodeError("ERR-REL-009", "This is no address that an update can come from.")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)):
        return
    raise NodeError("ERR-REL-009", f"An update comes over https, or from this machine; not from {origin(url)}.")


@contextmanager
def _written(file: Path) -> Iterator[Callable[[bytes], object]]:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream.write
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise not_kept(file, error) from error


@contextmanager
def _open(url: str) -> Iterator[Iterator[bytes]]:
    """Ask for a file; redirects are followed as far as each address may be used. Its content comes in blocks."""
    with requests.Session() as session:
        session.trust_env = False  # no .netrc; certificates and proxies are asked for here
        for _ in range(REDIRECTS_MAX + 1):
            with _ask(session, url) as response:
                if not response.is_redirect:
                    if response.status_code != 200:
                        raise _absent(url, f"answers {response.status_code}")
                    yield _blocks(response, url)
                    return
                url = urljoin(url, response.headers["location"])
            check_address(url)
    raise _absent(url, f"sends us on more than {REDIRECTS_MAX} times")


def _ask(session: requests.Session, url: str) -> requests.Response:
    try:
        return session.get(
            url,
            headers={"Accept-Encoding": "identity"},
            timeout=(CONNECT_S, SILENCE_S),
            allow_redirects=False,
            stream=True,
            verify=certificates(os.environ),
            proxies={} if is_loopback(url) else get_environ_proxies(url),
        )
    except (requests.exceptions.RequestException, OSError) as error:
        raise _absent(url, f"cannot be asked: {cause(error)}") from error


def _blocks(response: requests.Response, url: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_BLOCK_BYTES)
    except (requests.exceptions.RequestException, OSError) as error:
        raise _absent(url, f"broke off: {cause(error)}") from error


def _late(url: str, whole_s: float) -> Unavailable:
    return _absent(url, f"has not given all of it within {whole_s:g} s")


def _absent(url: str, why: str) -> Unavailable:
    return Unavailable("ERR-REL-010", f"The update cannot be fetched: {origin(url)} {why}.")


def _other(why: str) -> NodeError:
    return NodeError("ERR-REL-011", f"The file is not the one of the release: {why}.")

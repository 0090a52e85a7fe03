"""Where a server listens: what people write as host, host:port or URL, read into one form."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from job_item.quantity import Unfit, shown

_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?")
_SCHEMES = ("nats", "tls")


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Written:
    """An address as somebody wrote it; `is_tls` when the scheme says so."""

    address: Address
    is_tls: bool


def host_of(text: str) -> str:
    """Take the name or IP address of a host, an IPv6 address also in brackets. Raises `Unfit`."""
    host = text.strip().removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(host):
        # What is no host may be a URL with a password in it: it is not shown.
        raise Unfit("ERR-CFG-007", "wants the name or IP address of a host, and nothing else")
    return host


def read_address(text: str, default_port: int) -> Written:
    """Read `host`, `host:port`, `nats://host:port` or `tls://host:port`. Raises `Unfit`.

    Credentials in a URL are refused: they have settings of their own, which are kept out of sight.
    """
    text = text.strip()
    if "@" in text:
        raise Unfit("ERR-CFG-007", "a server has credentials in its URL", "Use user, password and token instead.")
    if "://" not in text and "]:" not in text and text.count(":") != 1:
        return Written(Address(host_of(text), default_port), is_tls=False)
    try:
        url = urlsplit(text if "://" in text else f"nats://{text}")
        port = url.port
    except ValueError:
        raise Unfit(
            "ERR-CFG-007", f"wants a server as host, host:port or nats://host:port, not {shown(text)}"
        ) from None
    if url.scheme not in _SCHEMES or url.path.strip("/") or url.query or url.fragment:
        raise Unfit("ERR-CFG-007", f"wants a server as host, host:port or nats://host:port, not {shown(text)}")
    return Written(Address(host_of(url.hostname or ""), port or default_port), url.scheme == "tls")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name or address."""
    host = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

"""The certificates of a broker connection: found in the `tls/` layout, and proved when the settings are loaded.

The layout is that of the promises: `tls/nats/{ca.crt,client.crt,client.key}`, `tls/rabbitmq/server.crt`,
`tls/redis/{ca.crt,client.crt,client.key}`, in the folder of the configuration. What cannot be used is refused here,
with its place, so that nothing falls back to plain text later.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from job_item.connections import is_secure
from job_item.findings import Finding
from job_item.layers import Layer
from job_item.quantity import Unfit

_SECTION = "broker_connection"
_KEYS = ("ca_file", "cert_file", "key_file")
LAYOUT = {
    "nats": {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"},
    "rabbitmq": {"ca_file": "server.crt", "cert_file": "client.crt", "key_file": "client.key"},
    "redis": {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"},
}


def find_tls_files(layer: Layer, folder: Path) -> list[Finding]:
    """Put the paths of the layout in place where TLS is wanted and no path is given; say what cannot be used.

    The paths in `layer` are absolute already; `folder` is that of the configuration.
    """
    kind = layer.get((_SECTION, "type"))
    if not isinstance(kind, str) or kind not in LAYOUT:
        return []
    given = [key for key in _KEYS if layer.get((_SECTION, key))]
    if not _wants_tls(layer, kind):
        if not given or layer.get((_SECTION, "secure")) is not None:
            return []
        message = f"{given[0]} is set, and secure is not: neither TLS nor plain text is clearly meant"
        return [Finding((_SECTION, given[0]), "ERR-CFG-036", message, "Set secure to true or to false.")]
    _fill_in(layer, kind, folder)
    return _prove(layer, folder / "tls" / kind / LAYOUT[kind]["ca_file"])


def _wants_tls(layer: Layer, kind: str) -> bool:
    """Whether the connection is to be made over TLS; NATS also with a client certificate alone, as in the Go worker."""
    if kind == "nats" and layer.get((_SECTION, "cert_file")) and layer.get((_SECTION, "key_file")):
        return True
    try:
        return is_secure(layer.get((_SECTION, "secure")) or "")
    except Unfit:
        return False  # the setting itself is refused


def _fill_in(layer: Layer, kind: str, folder: Path) -> None:
    """The client's certificate comes with its key, or not at all."""
    found = {key: folder / "tls" / kind / name for key, name in LAYOUT[kind].items()}
    if not layer.get((_SECTION, "ca_file")) and found["ca_file"].exists():
        layer.put((_SECTION, "ca_file"), str(found["ca_file"]), "default")
    names_client = layer.get((_SECTION, "cert_file")) or layer.get((_SECTION, "key_file"))
    if not names_client and found["cert_file"].exists() and found["key_file"].exists():
        layer.put((_SECTION, "cert_file"), str(found["cert_file"]), "default")
        layer.put((_SECTION, "key_file"), str(found["key_file"]), "default")


def _prove(layer: Layer, expected: Path) -> list[Finding]:
    """Load what is named; the first thing that fails is enough."""
    ca_file, cert_file, key_file = (layer.get((_SECTION, key)) for key in _KEYS)
    if not isinstance(ca_file, str) or not ca_file:
        message = f"there is no ca_file, and no {expected}, to know the server by"
        return [Finding((_SECTION, "secure"), "ERR-CFG-036", message)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        return [Finding((_SECTION, "ca_file"), "ERR-CFG-036", f"{ca_file} cannot be used: {_why(error)}")]
    if not cert_file and not key_file:
        return []
    for key, file in (("cert_file", cert_file), ("key_file", key_file)):
        if not isinstance(file, str) or not file:
            other = "key_file" if key == "cert_file" else "cert_file"
            return [Finding((_SECTION, other), "ERR-CFG-036", f"{other} is set without {key}")]
        if not Path(file).is_file():
            return [Finding((_SECTION, key), "ERR-CFG-036", f"{file} cannot be used: there is no such file")]
    try:
        # A key that is locked with a passphrase would be asked for on the terminal.
        context.load_cert_chain(str(cert_file), str(key_file), password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        message = f"{cert_file} and {key_file} cannot be used together: {_why(error)}"
        return [Finding((_SECTION, "cert_file"), "ERR-CFG-036", message)]
    return []


def _why(error: Exception) -> str:
    """The reason in words; OpenSSL's own are meant for those who know its source."""
    if isinstance(error, ssl.SSLError):
        if "KEY_VALUES_MISMATCH" in str(error):
            return "the key does not belong to the certificate"
        return "it does not hold what it should (PEM), or the key is locked"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__

"""`release`: for whoever makes releases: a key, the signature of an artifact, and the proof that it is right."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from job_item.errors import NodeError
from supervisor.cli.given import JsonOption, print_json, wants_json

if TYPE_CHECKING:
    from job_item.release.manifest import Manifest

app = typer.Typer(help="Sign releases that nodes can update to, and check them.", no_args_is_help=True)

_BLOCK_BYTES = 1 << 20
_FORMS = MappingProxyType(
    {
        "version": "two to four numbers with dots between them are wanted, as 1.4.2",
        "channel": "up to 64 small letters, digits, dots, dashes and underscores are wanted, as stable",
        "platform": "a system and its processor are wanted, as linux-x86_64, or any",
        "python": "a version of Python 3 is wanted, as 3.11",
        "artifact": "the name of the file may have letters, digits, dots, dashes and underscores",
        "size": "the file is empty, or too large",
    }
)
"""What of a release can be given wrongly, and how it is given rightly."""


@app.command("key")
def make_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is kept; not on a node.")],
    show: Annotated[bool, typer.Option("--show", help="Make nothing: show the public key of the one in FILE.")] = False,
) -> None:
    """Make a private key and show the public one, which is the `update.public_key` of nodes."""
    from job_item.release import keys

    typer.echo(keys.public_key(file) if show else keys.make_key(file))


@app.command("sign")
def sign_artifact(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="The file job_item.pyz of the new version.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key.")],
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="What it says of itself with --version.")
    ],
    channel: Annotated[
        str, typer.Option("--channel", help="Only nodes with this `update.channel` take it.")
    ] = "stable",
    sequence: Annotated[
        int | None, typer.Option("--sequence", min=1, help="Higher than that of any release before; default: the time.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", help="As linux-x86_64, or `any`; default: this machine's.")
    ] = None,
    python: Annotated[str, typer.Option("--python", help="The oldest Python that it runs on.")] = "3.11",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The release file; default: ARTIFACT.release.")
    ] = None,
) -> None:
    """Write the release file of an artifact. Publish both in one folder; nodes are given the address of the first."""
    from job_item.release import keys, place
    from job_item.release.manifest import Manifest

    size, digest = _measure(artifact)
    now = int(time.time())
    target = out or artifact.with_name(artifact.name + ".release")
    try:
        release = Manifest(
            version=version,
            sequence=sequence or now,
            issued_at=now,
            channel=channel,
            platform=platform or place.platform(),
            python=python,
            artifact=artifact.name,
            size=size,
            sha256=digest,
        )
    except ValueError as error:
        name = str(error)
        wanted = _FORMS.get(name, "this is none that a release can have")
        raise typer.BadParameter(f"{wanted}.", param_hint=name) from error
    signed = keys.sign(release, key)
    try:
        target.write_bytes(signed)
    except OSError as error:
        raise _unusable(target, error) from error
    typer.echo(f"{target}: version {release.version}, sequence {release.sequence}, {release.size} bytes.")


@app.command("verify")
def verify_release(
    file: Annotated[Path, typer.Argument(metavar="RELEASE", help="A release file; its artifact lies beside it.")],
    key: Annotated[str, typer.Option("--key", metavar="PUBLIC_KEY", help="The public key that nodes are set to.")],
    as_json: JsonOption = False,
) -> None:
    """Check signature and artifact of a release as a node does."""
    from job_item.release import keys
    from job_item.release.manifest import SIZE_MAX_BYTES

    try:
        with file.open("rb") as stream:
            raw = stream.read(SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(file, error) from error
    release = keys.verify(raw, key)
    _compare(release, file.with_name(release.artifact))
    if wants_json(as_json):
        print_json(asdict(release))
    else:
        typer.echo(f"Version {release.version} for {release.platform}, channel {release.channel}: signed and whole.")


def _compare(release: Manifest, artifact: Path) -> None:
    if _measure(artifact) != (release.size, release.sha256):
        raise NodeError("ERR-REL-011", f"{artifact} is not the file that was signed.")


def _measure(artifact: Path) -> tuple[int, str]:
    """Size and digest of a file."""
    digest, size = hashlib.sha256(), 0
    try:
        with artifact.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise _unusable(artifact, error) from error
    return size, digest.hexdigest()


def _unusable(file: Path, error: OSError) -> NodeError:
    return NodeError("ERR-REL-019", f"{file} cannot be read or written: {error.strerror}.")

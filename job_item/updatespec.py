"""`update`: whose releases a node takes, and which of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from job_item.kinds import Bytes, Seconds
from job_item.quantity import Unfit, shown
from job_item.release.keys import is_key
from job_item.section import Section


def _public_key(value: str) -> str:
    """Take a public key as `job_item release key` shows it."""
    if not is_key(value):
        raise Unfit(
            "ERR-CFG-007", f"wants a public key, 44 signs of base64, not {shown(value)}", "Use `job_item release key`."
        )
    return value


def _percent(value: object) -> object:
    """Take a share: `10%`, or the number alone."""
    return value.strip().removesuffix("%").rstrip() if isinstance(value, str) else value


class Update(Section):
    """`update`: off without a key."""

    public_key: Annotated[str, AfterValidator(_public_key)] | None = None
    """The key that releases are signed with, as `job_item release key` shows it. Without one updates are off."""
    channel: str = Field(default="stable", pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """Releases of other channels are not taken."""
    canary: Annotated[float, BeforeValidator(_percent)] = Field(default=100.0, ge=0, le=100)
    """The share of nodes that take releases, in percent: `10%`. Where a node stands among them follows from its
    identity.
    """
    jobs: Literal["drain", "leave"] = "drain"
    """What a change of version means for jobs; it ends none. With `drain` no more are started, and it comes when those
    that run have ended. With `leave` the node goes on as before, and it comes in the first moment in which none runs.
    """
    wait: Seconds = Field(default=86400.0, gt=0)
    """How long `leave` waits for such a moment; then it is a `drain`."""
    keep: int = Field(default=2, ge=1)
    """How many versions stay on the disk; the one that runs and the one before it always do."""
    watch: Seconds = Field(default=60.0, gt=0)
    """A new version is kept once it has been ready for so long and lost no child; else the one before runs again."""
    ready: Seconds = Field(default=40.0, gt=0)
    """A new version that is not ready by then is given up, unless it asks for more time, as one does that waits for its
    Job Manager.
    """
    size_max: Bytes = Field(default=1 << 30, gt=0)
    """Larger releases are not taken."""

"""A newer worker that the Job Manager offers: judged and shown here; taken only as a signed release.

Protocol job-item.md, sections 2.5 and 6.5: an answer with a `job_item_version_number` above the worker's own asks it to
replace itself by what lies at `job_item_link`. A node with `update.public_key` looks whether that is a release which it
may take (`supervisor.taking`); to all others it is news and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMBER = 3
"""The number of the protocol that this worker speaks, which is that of the last Go worker (protocol, section 12)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered. `version` and `link` are for people and may be empty; the link has no secrets in it."""

    number: int
    version: str = ""
    link: str = ""

    @property
    def sentence(self) -> str:
        """What people are told of it."""
        name = f" ({self.version})" if self.version else ""
        return f"The Job Manager offers version {self.number}{name} of the worker; this one counts as version {NUMBER}."


def offer_of(number: int, version: str, link: str) -> Offer | None:
    """What an answer with these members offers; None where this worker is new enough."""
    return Offer(number, version, _shown(link)) if number > NUMBER else None


def _shown(link: str) -> str:
    """The address without user, password, query and fragment; empty where it is none of http or https."""
    from urllib.parse import urlsplit  # the parent takes offers from others and needs none of it

    try:
        url = urlsplit(link)
        place = f"{url.hostname}:{url.port}" if url.port else url.hostname
    except ValueError:
        return ""
    return f"{url.scheme}://{place}{url.path}" if url.scheme in ("http", "https") and place else ""

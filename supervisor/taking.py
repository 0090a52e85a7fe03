"""The process that takes up a release which the Job Manager offers: it lives for that, and dies with its node.

It does what `job_item update --apply` does, up to the moment at which the node changes over.
"""

from __future__ import annotations

import os
import pickle
import signal

from job_item.errors import NodeError, Unavailable
from job_item.link import ChildStart, Connection
from job_item.process import own_session, signal_when_orphaned
from supervisor.uptake import Taken


def main(packed: bytes, connection: Connection) -> None:
    """Take up what the settings of a pickled `ChildStart` say is offered, and send what came of it (`Taken`)."""
    signal_when_orphaned(signal.SIGKILL)
    own_session()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    connection.send_bytes(pickle.dumps(_take(pickle.loads(packed))))  # noqa: S301 - made by this node


def _take(start: ChildStart) -> Taken:
    from supervisor.updating import Target, look_at, stage

    target = Target(start.settings.update, start.config_path, start.state_dir, start.identity)
    version = ""
    try:
        prospect = look_at(target, start.settings.job_item_link)
        version = prospect.release.version
        stage(target, prospect, os.environ, lambda _: None)
    except NodeError as error:
        return Taken(version, error.code, error.message, isinstance(error, Unavailable))
    return Taken(version)

"""Notifications: what a script says while it runs. They stay with the job and go on to whoever watches it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable

from job_item.sdk.courier import Courier
from job_item.sdk.parts import messages
from job_item.sdk.surroundings import notification_url


def notify(text: str) -> int:
    """Send a notification of this job; gives how many it took.

    A text of more than 102400 bytes of UTF-8 becomes several, each beginning with `[part 2 of 5]`; an empty one none.
    Tried again for some seconds while the node is away, so that one whose answer was lost may come twice.

    Raises `job_item.errors.NodeError`: ERR-REP-001 and -002 (JOB_ITEM_TASK_ID or JOB_ITEM_MSG_NOTIF_HOST is missing or
    no address), ERR-REP-003 (refused), and as `Unavailable` ERR-REP-004 (nobody answers).
    """
    encoded = text.encode("utf-8", "replace")
    return send_text(Courier(), notification_url(os.environ), lambda: (encoded,))


def send_text(courier: Courier, url: str, read: Callable[[], Iterable[bytes]]) -> int:
    """Send a text that is read when it is needed (as `messages`); gives the number of notifications. Raises so too."""
    count = 0
    for message in messages(read):
        post_message(courier, url, message)
        count += 1
    return count


def post_message(courier: Courier, url: str, message: str) -> None:
    """Send one notification that is not too long. Raises as `Courier.post`."""
    body = json.dumps({"msg": message}, ensure_ascii=False).encode()
    courier.post(url, lambda: body, {"Content-Type": "application/json"}, what="the notification")

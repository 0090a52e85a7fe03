"""The task of this script: what it was asked with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from job_item.errors import NodeError
from job_item.sdk.surroundings import task_id


def task_data() -> Any:
    """Read the data of this job from its task file `<task id>.json`: an object (`dict`) or an array (`list`).

    The file is in the directory in which the job was started; read it before changing to another one. Numbers, lists
    and nested values are as they were sent, unlike in the variables JOB_ITEM_DATA_*.

    Raises `job_item.errors.NodeError`: ERR-REP-001 (JOB_ITEM_TASK_ID is not set), ERR-REP-008 (no such file, or no
    JSON in it).
    """
    path = Path(f"{task_id(os.environ)}.json")
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise NodeError("ERR-REP-008", f"The task file {path.absolute()} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise NodeError("ERR-REP-008", f"There is no JSON in the task file {path.absolute()}: {error}.") from error

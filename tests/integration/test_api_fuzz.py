"""No request brings the API of a real node to an answer that its own description does not have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fuzzing import SETTINGS, fuzz
from tests.nodes import running
from worker.api.app import build


@pytest.mark.timeout(700)
def test_every_answer_of_the_api_is_as_described_and_none_is_a_fault_of_the_node(tmp_path: Path) -> None:
    operations = sum(len(operations) for operations in build().openapi()["paths"].values())
    with running(tmp_path, SETTINGS) as node:
        said = fuzz(node, "--generation-deterministic", "--max-examples", "5", within_s=600)
        assert re.search(rf"Tested: {operations}\b", said), said
        worker = node.child_pid("worker")
        assert node.get("/readyz")[0] == 200
        assert node.child_pid("worker") == worker

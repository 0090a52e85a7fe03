"""The API under thousands of requests made by chance, with and without a token."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.fuzzing import SETTINGS, fuzz
from tests.nodes import running

BUDGET_S = {"quick": 10, "night": 600}
TOKEN = "s3cret-of-the-test"


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_no_request_made_by_chance_brings_an_answer_that_is_not_described(
    token: str | None, tier: Literal["quick", "night"], tmp_path: Path
) -> None:
    budget_s = BUDGET_S[tier]
    prefix = "" if token is None else f"/t/{token}"
    with running(tmp_path, {**SETTINGS, "api": {"port": 0, "token": token}}) as node:
        worker = node.child_pid("worker")
        print(fuzz(node, "--max-time", str(budget_s), prefix=prefix, within_s=3 * budget_s + 180))
        assert node.child_pid("worker") == worker

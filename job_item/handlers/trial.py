"""The job type TEST, which every node can serve: it takes a number, works for about ten seconds, and says nothing.

As in ReefGuideWorker.jl (protocol reefguide.md, section 7): input `id`, no output.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from job_item.handlers.context import HandlerContext

WORK_S = 10.0


class Trial(BaseModel):
    """The input of TEST."""

    model_config = ConfigDict(extra="ignore")

    id: float


def trial(given: Trial, context: HandlerContext) -> None:
    """Work for a while, unless the job is to end."""
    print(f"test job {given.id:g} works for {WORK_S:g} s")
    context.cancel.wait(WORK_S)
    context.cancel.check()

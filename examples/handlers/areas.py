"""A job type of one's own: how large is a piece of land, and what does it cost?"""

from pydantic import BaseModel, Field

import job_item
from job_item import HandlerContext


class Land(BaseModel):
    """What a job has to say."""

    width: float = Field(gt=0)
    depth: float = Field(gt=0)
    price: float = 1.0


class Offer(BaseModel):
    """What comes back."""

    area: float
    total: float


@job_item.handler("AREA")
def offer(land: Land, context: HandlerContext) -> Offer:
    """Serve jobs of the type AREA."""
    context.logger.info("%g by %g", land.width, land.depth)
    area = land.width * land.depth
    return Offer(area=area, total=area * land.price)


@job_item.handler("COUNT")
def count(numbers: list[int], context: HandlerContext) -> int:
    """A job that takes a while says how far it is, and ends when it is to end."""
    total = 0
    for index, number in enumerate(numbers):
        context.cancel.check()
        context.progress(index + 1, len(numbers), "counting")
        total += number
        context.cancel.wait(0.1)
    return total

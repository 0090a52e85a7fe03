"""SUITABILITY_ASSESSMENT: the areas of a raster whose cells are above a threshold, as GeoJSON in the job's storage."""

import json
from pathlib import Path
from typing import Any

from outline import Cell, areas, rings
from pydantic import BaseModel
from raster import Raster, read

from job_item import HandlerContext, handler

RESULT = "suitable.geojson"


class Question(BaseModel):
    """What is used of the input; the criteria of depth, slope and waves come too, and are let pass."""

    region: str
    reef_type: str
    x_dist: float
    y_dist: float
    threshold: float = 95.0


class Found(BaseModel):
    """The result; the path is relative to the storage of the job."""

    geojson_path: str


@handler("SUITABILITY_ASSESSMENT")
def assess(question: Question, context: HandlerContext) -> Found:
    """Find the areas that are wide and high enough, `x_dist` by `y_dist` metres, and store them."""
    raster = read(Path(context.data_path or "data") / f"{Path(question.region).name}.asc")
    suitable = {(x, y) for x, y, value in raster.cells() if value >= question.threshold}
    found = sorted(areas(suitable), key=len, reverse=True)
    features = []
    for number, area in enumerate(found):
        context.cancel.check()
        context.progress(number + 1, len(found), "areas")
        if _is_large(area, raster, question):
            features.append(_feature(number + 1, area, raster))
    context.logger.info("%d areas of %d cells in %s", len(features), len(suitable), question.region)
    file = context.temp_dir / RESULT
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features} if features else None))
    return Found(geojson_path=context.storage.upload(file, content_type="application/geo+json").name)


def _is_large(area: set[Cell], raster: Raster, question: Question) -> bool:
    width, height = raster.metres()
    columns, rows = ([cell[axis] for cell in area] for axis in (0, 1))
    is_wide = (max(columns) - min(columns) + 1) * width >= question.x_dist
    return is_wide and (max(rows) - min(rows) + 1) * height >= question.y_dist


def _feature(number: int, area: set[Cell], raster: Raster) -> dict[str, Any]:
    """One area as RFC 7946 has it: the outer ring first, then the holes."""
    values = [raster.rows[y][x] for x, y in area]
    return {
        "type": "Feature",
        "properties": {"area": number, "cells": len(area), "mean": round(sum(values) / len(values), 2)},
        "geometry": {"type": "Polygon", "coordinates": [[raster.place(x, y) for x, y in ring] for ring in rings(area)]},
    }

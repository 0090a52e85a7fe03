"""The page that shows the API, with all its files from this package: no network is needed, no foreign script runs.

The files in `static` are those of swagger-ui-dist 5.35.0, unchanged, with their licences.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "swagger-ui.css": "text/css; charset=utf-8",
        "start.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
)
"""The files that the page may ask for."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>job_item: the API of this node</title>
<link rel="icon" href="docs/icon.svg">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui">This page needs JavaScript; the same is said by <a href="openapi.json">openapi.json</a>.</div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""


@router.get("/docs")
async def page() -> Response:
    """Show the page."""
    return Response(PAGE, media_type="text/html", headers={"content-security-policy": POLICY})


def serve_file(name: str) -> None:
    """Add the route of one file of the page."""

    @router.get(f"/docs/{name}", name=name)
    async def serve() -> Response:
        return Response((STATIC / name).read_bytes(), headers={"content-type": MEDIA_TYPES[name]})


for each in MEDIA_TYPES:
    serve_file(each)

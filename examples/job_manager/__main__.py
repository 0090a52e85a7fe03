"""`python -m examples.job_manager manager.yaml`: run the manager until Ctrl-C."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from examples.job_manager import files, people, workers
from examples.job_manager.board import Board
from examples.job_manager.bus import Bus
from examples.job_manager.gate import Gate
from examples.job_manager.settings import Settings, load
from examples.job_manager.store import Store


def build(settings: Settings) -> FastAPI:
    """The application; it connects to the broker when it is started."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        store, bus, gate = Store(settings.folder), Bus(settings.connection), Gate(settings)
        board = Board(settings, store, bus)
        app.include_router(workers.routes(settings, store, gate))
        app.include_router(files.routes(settings, store, gate))
        app.include_router(people.routes(settings, store, gate, board, bus))
        await board.start()
        yield
        await board.stop()
        await bus.stop()
        store.close()

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        document = {"status": "error", "status_code": error.status_code, "return": error.detail}
        return JSONResponse(document, error.status_code, error.headers)

    return FastAPI(
        title="Job Manager",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={HTTPException: refuse},
    )


def main() -> None:
    """Read the settings and serve."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m examples.job_manager manager.yaml")
    try:
        settings = load(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(f"{sys.argv[1]} cannot be used: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    uvicorn.run(build(settings), host=settings.host, port=settings.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

"""`python -m examples.job_manager manager.yaml`: run the manager until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from examples.job_manager import files, nodes, people
from examples.job_manager.board import Board
from examples.job_manager.gate import Gate
from examples.job_manager.settings import Settings, load
from examples.job_manager.store import Store


def build(settings: Settings) -> FastAPI:
    """The application; it connects to the broker when it is started."""
    store, gate = Store(settings.folder), Gate(settings)
    board = Board(settings, store)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as works:
            connected, looking = works.create_task(board.bus.run()), works.create_task(board.run())
            yield
            board.bus.end()
            await connected
            looking.cancel()

    app = FastAPI(title="Job Manager", lifespan=life, openapi_url=None)
    app.include_router(nodes.routes(settings, store, gate))
    app.include_router(files.routes(store, gate))
    app.include_router(people.routes(settings, store, gate, board))
    return app


def main() -> None:
    """Read the settings and serve."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m examples.job_manager manager.yaml")
    try:
        settings = load(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(f"{sys.argv[1]} cannot be used: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 5}
    uvicorn.run(build(settings), host=settings.host, port=settings.port, fd=settings.fd, **quiet)


if __name__ == "__main__":
    main()

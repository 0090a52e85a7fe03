"""Words that every room of the node shares, and what job authors import.

    from job_item import HandlerContext, handler, notify, progress, submit_result, task_data, upload

Importing this package costs nothing: keepers run with a bare interpreter and import it too, so nothing heavier than
this file may stand here. What job authors import is loaded when it is first asked for (PEP 562).
"""

__version__ = "0.1.0"
__all__ = ("HandlerContext", "handler", "notify", "progress", "submit_result", "task_data", "upload")

TYPE_CHECKING = False
"""As type checkers know it; importing `typing` would cost more than all else here."""
if TYPE_CHECKING:
    from job_item.handlers.context import HandlerContext
    from job_item.handlers.mark import handler
    from job_item.sdk.notification import notify
    from job_item.sdk.progress import progress
    from job_item.sdk.result import submit_result
    from job_item.sdk.task import task_data
    from job_item.sdk.upload import upload

_HOMES = (
    ("HandlerContext", "handlers.context"),
    ("handler", "handlers.mark"),
    ("notify", "sdk.notification"),
    ("progress", "sdk.progress"),
    ("submit_result", "sdk.result"),
    ("task_data", "sdk.task"),
    ("upload", "sdk.upload"),
)


if not TYPE_CHECKING:  # else a type checker would believe that any name is there

    def __getattr__(name: str) -> object:
        for known, home in _HOMES:
            if name == known:
                from importlib import import_module

                return getattr(import_module(f"job_item.{home}"), name)
        raise AttributeError(f"module 'job_item' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

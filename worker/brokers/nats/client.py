"""The client library of NATS, and the rule that it shows no credentials in plain text where TLS is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from job_item.without import without

with without("aiohttp"):  # for websockets, which are not used here: four times the time and memory
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription as Subscribed

__all__ = ["ConnectFailed", "GuardedClient", "Msg", "Subscribed", "errors"]


class ConnectFailed(Exception):  # noqa: N818 - not for others to see
    """Carries the first failure out of the client, which would try again by itself."""


class GuardedClient(Client):
    """The client, and the rule that it shows no credentials in plain text where TLS is wanted.

    The library makes TLS when the server says that it must be, and goes on in plain text when it does not.
    """

    def __init__(self, *, is_tls: bool) -> None:
        super().__init__()
        self._is_tls = is_tls
        self._is_checked = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._is_tls:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise ConnectFailed from errors.Error("the server does not speak TLS at this port")
            info["tls_required"] = True
        self._is_checked = True
        await super()._process_info(info, initial_connection)

    def shown(self, secret: str | None) -> Callable[[], str] | None:
        """A credential, as the library asks for it when it is about to be sent."""
        if secret is None:
            return None

        def show() -> str:
            if not self._is_checked:
                raise ConnectFailed from errors.Error("the library has not checked what the server says of TLS")
            return secret

        return show

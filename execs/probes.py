"""Asking a probe once: a command, an HTTP address, a TCP port. Nothing here blocks the loop or outlives the room."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from job_item.errors import Unavailable
from job_item.keeper.command import Command
from job_item.keeper.pool import KeeperPool
from job_item.probespec import Probe

AT_ONCE = 16
"""Probes that are asked at the same time; more of them wait for their turn."""
HEAD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe says; None where it could not be asked, which says nothing of the exec. `why` tells a no."""

    is_yes: bool | None
    why: str = ""


class Inquirer:
    """Asks probes, a bounded number at once."""

    def __init__(self, pool: KeeperPool) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def ask(self, probe: Probe, command: Command) -> Answer:
        """Ask once, for `probe.timeout` seconds at most. `command` is the exec's: a probe's command runs as it does."""
        async with self._turns:
            if probe.cmd is not None:
                return await self._run(probe.cmd, probe.timeout, command)
            try:
                async with asyncio.timeout(probe.timeout):
                    if probe.http is not None:
                        return await self._get(urlsplit(probe.http), verify=probe.verify)
                    return await _connect(probe.tcp or "")
            except TimeoutError:
                return Answer(False, f"no answer within {probe.timeout:g} s")
            except (OSError, EOFError, ValueError) as error:
                return Answer(False, _reason(error))

    async def _run(self, text: str, timeout_s: float, command: Command) -> Answer:
        """Run a command in a keeper: what it starts ends with it, at its time-out, and with this room."""
        probing = replace(
            command,
            argv=("sh", "-c", text),
            spool="",
            output_limit=0,
            older=None,
            announce=False,
            timeout_s=timeout_s,
            grace_s=0.0,
        )
        try:
            run = self._pool.start(probing)
        except Unavailable:
            return Answer(None)
        try:
            ended = await asyncio.shield(run.ended)
        except asyncio.CancelledError:
            run.stop("terminate", 0.0)
            raise
        if ended.may_pass or ended.end == "lost":
            return Answer(None)
        if ended.end == "timeout":
            return Answer(False, f"no answer within {timeout_s:g} s")
        if ended.end == "failed":
            return Answer(False, f"the probe could not be started: {ended.reason}")
        how = f"exit code {ended.exit_code}" if ended.signal is None else f"signal {ended.signal}"
        return Answer(ended.exit_code == 0, f"the probe ended with {how}")

    async def _get(self, url: SplitResult, *, verify: bool) -> Answer:
        is_secure = url.scheme == "https"
        context = await self._context(verify=verify) if is_secure else None
        port = url.port or (443 if is_secure else 80)
        reader, writer = await asyncio.open_connection(url.hostname, port, ssl=context, limit=HEAD_BYTES)
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            head = (f"GET {target} HTTP/1.1", f"Host: {url.netloc}", "User-Agent: job_item", "Accept: */*")
            writer.write("\r\n".join((*head, "Connection: close", "", "")).encode("ascii"))
            words = (await reader.readline()).split(None, 2)
        finally:
            writer.transport.abort()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            return Answer(False, "the answer is no HTTP")
        status = int(words[1])
        return Answer(200 <= status < 400, f"HTTP status {status}")

    async def _context(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._contexts:
            context = await asyncio.to_thread(ssl.create_default_context)  # it reads hundreds of certificates
            if not verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._contexts[verify] = context
        return self._contexts[verify]


async def _connect(address: str) -> Answer:
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]") or "127.0.0.1", int(port))
    writer.transport.abort()
    return Answer(True)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or "the connection ended"

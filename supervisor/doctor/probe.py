"""A process that tries out what keepers do: become a subreaper, get an orphan back, and see its tree end.

Run by `python -I -S`, as keepers are; says `whole` on its standard output where every process came back.
"""

import os
import signal

from job_item.process import become_subreaper


def main() -> None:
    """Detach a grandchild as a daemon does, let its parent end, end it, and count who was reaped."""
    if not become_subreaper():
        print("none")
        return
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(reader)
            os.write(writer, str(os.getpid()).encode())
            os.close(writer)
            signal.pause()
        os._exit(0)
    os.close(writer)
    orphan = int(os.read(reader, 20))
    os.waitpid(child, 0)
    os.kill(orphan, signal.SIGKILL)
    try:
        reaped, _ = os.waitpid(orphan, 0)
    except ChildProcessError:
        reaped = 0
    print("whole" if reaped == orphan else "torn")

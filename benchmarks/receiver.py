"""`python -m benchmarks.receiver PORT SUBJECT BYTES`: count the payload on a NATS subject, as cheaply as can be.

Says `ready` when the server has confirmed the subscription; when so many bytes have come, the number of messages and
the nanoseconds since the epoch at the last one.
"""

from __future__ import annotations

import io
import socket
import sys
import time

_BLOCK = 1 << 20
_LIMIT_S = 60.0
"""So long nothing may come in."""
_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"lang":"python","version":"0","protocol":1}\r\n'


def main(port: int, subject: str, expected: int) -> None:
    """Count."""
    with socket.create_connection(("127.0.0.1", port), timeout=_LIMIT_S) as sock:
        stream = io.BufferedReader(socket.SocketIO(sock, "r"), _BLOCK)
        stream.readline()  # INFO
        sock.sendall(_CONNECT + f"SUB {subject} 1\r\nPING\r\n".encode())
        messages = received = 0
        block = memoryview(bytearray(_BLOCK))
        while received < expected:
            line = stream.readline()
            if line.startswith(b"MSG"):
                size = left = int(line.rsplit(maxsplit=1)[1])
                while left:
                    left -= stream.readinto(block[: min(left, _BLOCK)]) or sys.exit("the connection has ended")
                stream.readline()
                received += size
                messages += 1
            elif line.startswith(b"PING"):
                sock.sendall(b"PONG\r\n")
            elif line.startswith(b"PONG"):
                print("ready", flush=True)
            elif not line or line.startswith(b"-ERR"):
                sys.exit(f"the server says: {line.decode()}")
        print(messages, time.time_ns(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

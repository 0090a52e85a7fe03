"""The local HTTP API of a node.

One application, built when `worker.api.app` is imported, serves any number of `worker.api.server.Server`s. What differs
between two servers (the desk, the token, the names of the host) travels with each request as its `Site`; so importing
starts nothing, and a test can serve two nodes from one process.

A request passes, from outside in: the connection (`server`: bounds on heads, time and number), the shield (`faults`:
every failure becomes JSON), the guard (`guard`: size, host, origin, token), then its route.
"""

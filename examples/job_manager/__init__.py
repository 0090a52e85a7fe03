"""A small Job Manager: the counterpart of a node, to develop and test against (FastAPI, SQLite, one of three brokers).

It shows what a node expects of a manager and what a manager hears of a node. It uses nothing of the node but the
models of `broker_connection`, so that both sides of the wire are written twice.
"""

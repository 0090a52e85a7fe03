"""Keepers: the small processes that run every command of the node.

Theory of operation. A room (job child or execs child) starts one *zygote*, a bare interpreter, and asks it for keepers.
A keeper is forked from the zygote in well under a millisecond, is a subreaper, and speaks with its room over a socket
of its own. It takes one command at a time: writes the task file, starts the command in a new session, pumps the output
into the spool, and when the command has ended kills whatever is or becomes its own child until the kernel says that
there is none. So the processes of one job are known exactly, also while other jobs run. Then it answers with one
message and takes the next command.

End-of-file on a socket is the leash: a keeper kills its tree and ends, a zygote waits for its keepers and sweeps after
them. `zygote`, `keep`, `tree`, `spawn`, `spool` and `wire` run on `python -I -S` and import C modules only, because
every keeper pays for what they import; `pool` is the room's side and lives on asyncio.
"""

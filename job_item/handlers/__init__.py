"""Typed handlers: Python functions with typed input and output that run jobs.

Theory of operation. The job child never runs a line of them. It starts one *nursery*, an interpreter that has loaded
all handlers and nothing else. Asked for one, the nursery forks a keeper, as a zygote does, and the keeper forks a
*hand*: the process in which handlers run, one job at a time. So everything that is true of a command's tree is true of
a hand's: what ends it is a signal to all of it, and what is left of it is killed and counted by its keeper.

Jobs go to a hand over a socket that keeps the borders of messages, and whose far end the job child keeps too: what a
hand has not taken yet can be taken back, exactly once. Results come back over the same socket. What a hand prints goes
into pipes that its keeper empties into the spool of the job that runs; which one that is stands in a page of memory
that the two share (`page`), so that a job without output costs no message between them.

`mark`, `context` and `duty` are what authors meet; `registry`, `roster` and `inspection` load and check; `nursery`,
`hold`, `hand`, `page` and `parcel` run. `job_item` itself loads of this only what is asked for.
"""

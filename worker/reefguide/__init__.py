"""The ReefGuide job API as a source: an HTTP job queue that the node polls (protocol reefguide.md).

Theory of operation. `source` polls, one type after the other, while a slot is free. Before a job is asked for, the
journal notes it; when it is granted, `claims` looks who else holds it, as the API grants a job to several callers at
once, and the lowest assignment wins. A granted job is a job of this node like any other: the journal and the dispatcher
do not know where it came from. `watch` ends it when its time is over or its result is wanted no more. What is to be
reported stands in the journal together with the end of the job, and `courier` posts it until the API has it. All HTTP
is done by `client`, in a bounded number of threads beside the loop.
"""

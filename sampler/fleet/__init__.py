"""Several clients, one verdict: vantages sample, and one process merges and judges.

`fleet` is the coordinator: it leases launches, merges what is sealed and notices who is lost.
`worker` is one vantage: an engine and a run of its own. A crew brings messages from one to the
other: `processes` to children of this process, `dask` to the workers of a Dask cluster, on
which `task` runs. Either has the vantages forked by a server (`forks`).
"""

"""The expected split, read from where it was declared.

`manifests` reads files and `cluster` a live cluster; both return Kubernetes objects that know
where each value was read. `rules` and `routes` are pure functions from such objects to an
`Expectation`, `resolve` chooses among them. `views` compares what is declared, configured and
running; `lint` looks for what is odd.
"""

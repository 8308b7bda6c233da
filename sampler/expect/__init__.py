"""What should be: the expected split, read from where it was declared.

`sources` does the I/O and gives Kubernetes objects that know their places; `rules` are pure
functions from such objects to an `Expectation`.
"""

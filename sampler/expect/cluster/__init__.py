"""The live source: the API server, its objects, and what changes meanwhile."""

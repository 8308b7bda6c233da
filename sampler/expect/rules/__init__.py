"""Pure functions from Kubernetes objects to an expected split and what is wrong with it."""

"""The embedded canary Service: pods, their balancer, and what can be wrong with them.

What runs in the child process (`pods`, `answers`, `loop`, `service`) imports the standard
library alone, so that a Service is up in a few hundredths of a second; import from the
modules themselves.
"""

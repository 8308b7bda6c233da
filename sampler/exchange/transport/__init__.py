"""Transports carry exchanges: `fast` on sockets of its own, `full` on aiohttp."""

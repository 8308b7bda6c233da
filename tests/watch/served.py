"""A stream that is served on loopback, from a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from sampler.watch.metrics import Metrics
from sampler.watch.page import LivePages
from sampler.watch.stream import Stream
from sampler.web.address import Address
from sampler.web.door import Door


class Served:
    """Serves one stream; `stop` and `start` are those of the listener, the stream goes on."""

    def __init__(self, **settings):
        self.stream = Stream(**settings)
        self.metrics = Metrics("0.0", "3")
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._door: Door

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def tell(self, *events):
        async def tell():
            for event in events:
                self.stream.tell(event)
                self.metrics.tell(event)
                await asyncio.sleep(0)  # whoever follows may write

        self.call(tell())

    def start(self):
        self.call(self._start())

    async def _start(self):
        self.stream.is_over = False
        self._door = Door(Address("127.0.0.1", self.port))
        LivePages(self.stream, self.metrics).add_to(self._door.app)
        await self._door.open()
        self.port = int(self._door.url.rpartition(":")[2])

    def stop(self):
        self.call(self._door.close())

    def end(self):
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@contextmanager
def serving(**settings):
    """Serve a stream until the end of the block."""
    served = Served(**settings)
    served.start()
    try:
        yield served
    finally:
        served.end()

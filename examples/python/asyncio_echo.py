"""An echo server of Python's asyncio: asyncio_echo.py PORT

One thread, one event loop (epoll below), callbacks for what a connection brings.
"""

import asyncio
import signal
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)  # keeps what the socket does not take, without a limit ...

    def pause_writing(self):  # ... so that a client that sends and does not read must not be read either
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def serve(**where):
    """Serves at a port or on a socket until SIGTERM. asyncio sets TCP_NODELAY on every connection by itself."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.create_server(Echo, backlog=1024, **where)  # 100 by default
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(host="127.0.0.1", port=int(sys.argv[1])))

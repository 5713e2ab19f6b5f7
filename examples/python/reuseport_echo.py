"""An echo server of several processes on one port: reuseport_echo.py WORKERS PORT

Each worker is an event loop of asyncio with a listening socket of its own (SO_REUSEPORT). The kernel chooses a socket for
each connection by a hash of its addresses, whatever the workers are doing. Processes are how Python uses several CPUs:
the threads of one process take turns at one lock.
"""

import asyncio
import os
import signal
import socket
import sys

import asyncio_echo


def listen(port):
    s = socket.create_server(("127.0.0.1", port), reuse_port=True, backlog=1024)
    s.setblocking(False)
    return s


async def work(listener, parent):
    """Serves until SIGTERM, or until the parent is gone, however it ended: then its end of the pipe is closed."""
    asyncio.get_running_loop().add_reader(parent, signal.raise_signal, signal.SIGTERM)
    await asyncio_echo.serve(sock=listener)


def main(workers, port):
    # All listen before the first one serves: a socket that comes later changes which connection goes where.
    listeners = [listen(int(port)) for _ in range(int(workers))]
    ours, theirs = os.pipe()
    for mine in listeners:
        if os.fork() == 0:
            os.close(theirs)
            for other in listeners:
                if other is not mine:
                    other.close()
            asyncio.run(work(mine, ours))
            os._exit(0)
    # A socket that nobody accepts from must not stay open: the kernel would go on choosing it.
    for listener in listeners:
        listener.close()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        os.wait()  # one worker has ended: so does the whole
    finally:
        os.close(theirs)
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break


main(*sys.argv[1:])

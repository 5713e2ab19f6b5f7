"""An echo server with a fixed pool of threads: pool_echo.py WORKERS PORT

The main thread accepts and hands connections to a ThreadPoolExecutor. A worker serves one until its client is done: there
are as many connections served at a time as workers, and the others wait, accepted, in the executor's queue, which has no
limit.
"""

import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


def echo(connection):
    with connection:
        try:
            while data := connection.recv(65536):  # empty: the client is done
                connection.sendall(data)
        except ConnectionError:
            pass  # the client is gone


def main(workers, port):
    # The interpreter waits at its end for an executor's threads, and they for their clients: sys.exit would take as long.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)  # with SO_REUSEADDR
    with ThreadPoolExecutor(int(workers)) as pool:
        while True:
            pool.submit(echo, listener.accept()[0])


main(*sys.argv[1:])

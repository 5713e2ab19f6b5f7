"""A server of threads, in one process or several: handlers.py PROCESSES WORK PORT

WORK is what a handler does for a request, before it echoes it: 5ms, it computes for so much CPU time; sleep:5ms, it waits.
"""

import os
import signal
import socket
import sys
import threading
import time

processes, work, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seconds = float(work.split(":")[-1].removesuffix("ms")) / 1000


def handle(connection):
    with connection:
        request = connection.recv(65536)
        if work.startswith("sleep:"):
            time.sleep(seconds)
        else:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
        connection.sendall(request)


listener = socket.create_server(("127.0.0.1", port), backlog=1024)
children = []
for _ in range(processes - 1):
    child = os.fork()
    if child == 0:
        children = []
        break
    children.append(child)


def stop(*_):
    for child in children:
        os.kill(child, signal.SIGTERM)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
while True:
    threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()

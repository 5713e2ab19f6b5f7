"""A server of threads that takes 0.3 s for a request, to be stopped by SIGTERM: stop.py KIND PORT

stock   Nothing is arranged for SIGTERM: it ends the interpreter as SIGKILL would.
daemon  It accepts no more and ends; its threads are daemons, which end with it, wherever they are.
joined  It accepts no more, waits until its threads have answered, and ends. This is how socketserver has it when nobody
        says otherwise (daemon_threads False, block_on_close True).
"""

import signal
import socketserver
import sys
import threading
import time


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        if request := self.request.recv(64):
            time.sleep(0.3)
            self.request.sendall(request)


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024
    allow_reuse_address = True
    daemon_threads = sys.argv[1] == "daemon"


with Server(("127.0.0.1", int(sys.argv[2])), Echo) as server:
    if sys.argv[1] != "stock":
        # shutdown waits for the loop below, which this handler interrupts: it must not be called from here.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.01)  # 0.5 by default, which shutdown may have to wait
# The end of "with" is server_close, which joins all threads but daemons.

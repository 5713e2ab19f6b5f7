"""An echo server of Python's socketserver: socketserver_echo.py KIND PORT [stock]

KIND is TCPServer (one connection after the other), ThreadingTCPServer (a thread for each) or ForkingTCPServer (a process
for each). What comes in goes out. With "stock" it is what the module makes of it when nothing is said, traps included:

request_queue_size = 5  So many connections may wait to be accepted (one more, as Linux counts). When more clients come at
                        the same moment, the kernel drops what they send, and they try again a second later.
max_children = 40       Of ForkingTCPServer. It then waits until a child has ended: the 41st client is connected, since the
                        kernel does that, and hears nothing for as long as forty others stay.
allow_reuse_address     False: for a minute after its end the server cannot start again on its port, because connections
                        that it closed linger there (TIME_WAIT).
daemon_threads          False, and block_on_close True: the end of ThreadingTCPServer waits for every client to leave.
"""

import os
import signal
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):  # empty: the client is done
                self.request.sendall(data)
        except ConnectionError:
            pass  # the client is gone


class ForkingTCPServer(socketserver.ForkingTCPServer):
    """A ForkingTCPServer that knows its children: SIGTERM waits while one is being started."""

    def process_request(self, request, client_address):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            super().process_request(request, client_address)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def finish_request(self, request, client_address):  # in the child, whose end is its own
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        super().finish_request(request, client_address)


KINDS = {
    "TCPServer": socketserver.TCPServer,
    "ThreadingTCPServer": socketserver.ThreadingTCPServer,
    "ForkingTCPServer": ForkingTCPServer,
}


def main(kind, port, stock=""):
    base = KINDS[kind]
    if not stock:
        base.request_queue_size = 1024
        base.max_children = 1024
        base.allow_reuse_address = True
        base.daemon_threads = True
    server = base(("127.0.0.1", int(port)), Echo)

    def stop(*_):
        for child in getattr(server, "active_children", None) or ():
            os.kill(child, signal.SIGTERM)
        os._exit(0)  # sys.exit would wait for threads that are no daemons

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


main(*sys.argv[1:])

"""Starts nginx for one trial, with a configuration made for it in a temporary folder, as root or as anybody else.

    nginx.py http PORT              answers HTTP by itself: http.conf
    nginx.py stream PORT COMMAND …  passes connections on to a command, in whose words BACKEND stands for its port: stream.conf

SIGTERM ends nginx, the command and this, and the folder is removed. When one of them ends by itself, all do.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}  # blocked here, so that none is missed; awaited by sigwait


def find():
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return shutil.which("nginx", path=path) or sys.exit("nginx is not installed")


def load_module(nginx):
    """The line that loads the stream module where it is not built in: Debian's package is libnginx-mod-stream."""
    built = subprocess.run([nginx, "-V"], stderr=subprocess.PIPE, text=True, check=True).stderr
    if "--with-stream=dynamic" not in built:
        return ""
    module = re.search(r"--modules-path=(\S+)", built)[1] + "/ngx_stream_module.so"
    if not os.path.exists(module):
        sys.exit(f"nginx has no stream module: there is no {module}")
    return f"load_module {module};"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return str(s.getsockname()[1])


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


def configure(folder, kind, values):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), kind + ".conf")) as template:
        text = template.read()
    for name, value in values.items():
        text = text.replace("@" + name + "@", value)
    with open(os.path.join(folder, "nginx.conf"), "w") as conf:
        conf.write(text)


def main(kind, port, *command):
    nginx = find()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    children = []

    def start(*words):
        children.append(subprocess.Popen(words, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)))

    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        try:
            values = {"PORT": port}
            if kind == "stream":
                values |= {"BACKEND": free_port(), "MODULE": load_module(nginx)}
                signal.sigtimedwait({signal.SIGCHLD}, 0)  # of nginx -V
                start(*(word.replace("BACKEND", values["BACKEND"]) for word in command))
                while not accepts(values["BACKEND"]):  # else nginx would refuse what comes now
                    if signal.sigtimedwait(SIGNALS, 0.01):
                        sys.exit("the end came before the command accepted a connection")
            configure(folder, kind, values)
            more = []
            if os.geteuid() == 0:
                # As root, nginx gives its workers to another user, who may not be there: in a container, or where an
                # ordinary user's trial is root of a namespace. Here everything stays with who started it.
                me = pwd.getpwuid(0).pw_name
                more = ["-g", f"user {me} {me};"]
            start(nginx, "-p", folder, "-c", "nginx.conf", "-e", "stderr", *more)
            signal.sigwait(SIGNALS)
        finally:
            for child in children:
                child.terminate()
            ends = [child.wait() for child in children]
    sys.exit(max(ends))  # of one that did not end by a signal, where there is one


main(*sys.argv[1:])

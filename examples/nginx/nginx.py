"""Starts nginx for one trial, with a configuration made for it in a temporary folder, as root or as anybody else.

    nginx.py http PORT              answers HTTP by itself: http.conf
    nginx.py stream PORT HOST:PORT  passes connections on to the server there: stream.conf
    nginx.py file PORT on|off       sends a small file, with or without TCP_NODELAY: file.conf

SIGTERM ends nginx and this, and the folder is removed. When nginx ends by itself, so does this.
"""

import os
import pwd
import re
import shutil
import signal
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


def configure(folder, kind, values):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), kind + ".conf")) as template:
        text = template.read()
    for name, value in values.items():
        text = text.replace("@" + name + "@", value)
    with open(os.path.join(folder, "nginx.conf"), "w") as conf:
        conf.write(text)


def main(kind, port, more=""):
    nginx = find()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        values = {"PORT": port}
        if kind == "stream":
            values |= {"BACKEND": more, "MODULE": load_module(nginx)}
            signal.sigtimedwait({signal.SIGCHLD}, 0)  # of nginx -V
        if kind == "file":
            values["NODELAY"] = more
            with open(os.path.join(folder, "small"), "w") as small:
                small.write("x" * 64)
        configure(folder, kind, values)
        user = []
        if os.geteuid() == 0:
            # As root, nginx gives its workers to another user, who may not be there: in a container, or where an
            # ordinary user's trial is root of a namespace. Here everything stays with who started it.
            me = pwd.getpwuid(0).pw_name
            user = ["-g", f"user {me} {me};"]
        child = subprocess.Popen(
            [nginx, "-p", folder, "-c", "nginx.conf", "-e", "stderr", *user],
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),
        )
        signal.sigwait(SIGNALS)
        child.terminate()
        end = child.wait()
    sys.exit(max(end, 0))


main(*sys.argv[1:])

"""nginx in front of a server of ours, with the buffering that it has by default."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

from tests.ports import free_port
from tests.requirements import path_of

_SETTINGS = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{target};
            proxy_buffering on;
            proxy_http_version 1.1;
        }}
    }}
}}
"""


@contextmanager
def proxied(target, folder):
    """Run a proxy before a port of loopback, and yield its URL."""
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(_SETTINGS.format(folder=folder, port=port, target=target))
    command = [path_of("nginx"), "-p", folder, "-c", settings]
    subprocess.run(command, check=True, timeout=60)  # it listens when it is in the background
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        subprocess.run([*command, "-s", "stop"], check=True, timeout=60)

"""Make the recordings beside this file again, with the programs that write such logs.

``python -m tests.recordings.make [FOLDER]`` from the root of the repository starts two versions
of a Service and nginx, Envoy, Traefik, HAProxy, Apache and Caddy in front of them, all on loopback,
and lets hey and k6 ask. A program that is not installed is left out, and its recordings stay as
they are. k6, Apache and Caddy are not among the requirements of the tests: put them on the PATH to
record them again.

Of what cannot run here there are samples after its documentation (``alb``, ``fortio``, ``jmeter``,
``linkerd``, ``oha``): `README.md` beside this file says after which page.

Nothing here is random but the draws of the programs, so the counts differ from one recording
to the next; the tests take theirs from the files.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.ports import free_port, free_ports
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
REQUESTS = 300
_TIMEOUT_S = 30

# The formats that docs/judge.md recommends.
NGINX_FORMATS = r"""
    log_format weighbridge '$msec $request_time $connection $connection_requests $status '
                           '"$upstream_addr" "$sent_http_x_version"';
    log_format weighbridge_json escape=json
        '{"msec":"$msec","request_time":"$request_time","connection":"$connection",'
        '"connection_requests":"$connection_requests","status":"$status",'
        '"upstream_addr":"$upstream_addr","sent_http_x_version":"$sent_http_x_version"}';
"""
_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log off;
{formats}
    upstream app {{
        random;
        server {host}:{v1} weight=16 max_fails=0;
        server {host}:{v2} weight=3 max_fails=0;
        server {host}:{dead} weight=1 max_fails=0;
    }}
    server {{
        listen {host}:{v1};
        location / {{ add_header X-Version v1; return 200 '{{"label":"v1","host":"app-1"}}'; }}
    }}
    server {{
        listen {host}:{v2};
        location / {{ add_header X-Version v2; return 200 '{{"label":"v2","host":"app-2"}}'; }}
    }}
    server {{
        listen {host}:{front};
        access_log {folder}/nginx-combined.log combined;
        access_log {folder}/nginx-weighbridge.log weighbridge;
        access_log {folder}/nginx-weighbridge.json.log weighbridge_json;
        location / {{ proxy_pass http://app; proxy_next_upstream off; }}
    }}
}}
"""
_K6 = """\
import http from 'k6/http';
import { Trend } from 'k6/metrics';

export const options = { vus: 4, iterations: %(requests)d, noConnectionReuse: true };
const answers = new Trend('answers', true);

export default function () {
  const answer = http.get('%(url)s');
  const version = answer.status === 200 ? answer.json('label') : '';
  answers.add(answer.timings.duration, { label: version, status: String(answer.status) });
}
"""
_HAPROXY = """\
defaults
    mode http
    log stdout format raw local0
    option httplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    retries 0
frontend fe
    bind %(host)s:%(port)d
    default_backend app
backend app
    balance random
    server v1 %(host)s:%(v1)d weight 160
    server v2 %(host)s:%(v2)d weight 30
    server dead %(host)s:%(dead)d weight 10
"""
APACHE_FORMAT = (
    '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" %{X-Version}o '
    "%{BALANCER_WORKER_NAME}e %D"
)
_APACHE = """\
ServerRoot %(folder)s
ServerName localhost
PidFile %(folder)s/httpd.pid
Listen %(host)s:%(port)d
ErrorLog %(folder)s/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule slotmem_shm_module /usr/lib/apache2/modules/mod_slotmem_shm.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_balancer_module /usr/lib/apache2/modules/mod_proxy_balancer.so
LoadModule lbmethod_byrequests_module /usr/lib/apache2/modules/mod_lbmethod_byrequests.so
LogFormat "%(format_quoted)s" split
CustomLog %(log)s split
<Proxy balancer://app>
    BalancerMember http://%(host)s:%(v1)d loadfactor=16 retry=0
    BalancerMember http://%(host)s:%(v2)d loadfactor=3 retry=0
    BalancerMember http://%(host)s:%(dead)d loadfactor=1 retry=0
    ProxySet maxattempts=1
</Proxy>
ProxyPass / balancer://app/
"""
_CADDY = """\
{
    admin off
}
http://%(host)s:%(port)d {
    log {
        output file %(log)s
        format json
    }
    reverse_proxy %(host)s:%(v1)d %(host)s:%(v1)d %(host)s:%(v1)d %(host)s:%(v2)d {
        lb_policy random
    }
}
"""
_TYPES = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True, slots=True)
class Service:
    """Two versions behind nginx, and a place where nobody listens.

    Parameters
    ----------
    folder : Path
        Where nginx writes its access logs.
    v1, v2, dead, front : int
        Ports on loopback; of `front`, nginx that divides 16 : 3 : 1.
    """

    folder: Path
    v1: int
    v2: int
    dead: int
    front: int

    @property
    def url(self) -> str:
        """Where nginx divides."""
        return f"http://{HOST}:{self.front}/"


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    """Serve while the block lasts; the access logs are complete after it."""
    v1, v2, dead, front = free_ports(4)
    made = Service(folder, v1, v2, dead, front)
    text = _NGINX.format(
        folder=folder, host=HOST, formats=NGINX_FORMATS, v1=v1, v2=v2, dead=dead, front=front
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(text, encoding="utf-8")
    command = [path_of("nginx") or "nginx", "-p", str(folder), "-c", str(configuration)]
    with running([*command, "-e", "stderr"], v1):
        yield made


@contextmanager
def running(command: Sequence[str], port: int, output: Path | None = None) -> Iterator[None]:
    """Run a server while the block lasts; it is there when it answers with a 200."""
    with (output or Path(os.devnull)).open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL
        )
    try:
        until = time.monotonic() + _TIMEOUT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not answer on {port}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)


def _answers(port: int) -> bool:
    """Whether it answers with a 200: a proxy listens before it knows its routes."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def hey(url: str, requests: int, *options: str) -> str:
    """Let hey ask, and give its CSV."""
    done = subprocess.run(
        [path_of("hey") or "hey", "-n", str(requests), "-c", "4", "-o", "csv", *options, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    return done.stdout


def ask(port: int, connections: int, each: int) -> None:
    """Send `each` requests on each of some connections; whatever comes back is accepted."""
    for number in range(connections):
        connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
        for _ in range(each):
            connection.request("GET", f"/?n={number}", headers={"User-Agent": 'a "quoted" one'})
            connection.getresponse().read()
        connection.close()


def record_k6(made: Service, folder: Path) -> None:
    """Let k6 ask, and keep its JSON and its CSV in two resolutions of time."""
    program = path_of("k6")
    if program is None:
        print("k6 is not on the PATH: its recordings stay as they are", file=sys.stderr)
        return
    script = made.folder / "answers.js"
    script.write_text(_K6 % {"requests": 120, "url": made.url}, encoding="utf-8")
    outs = {
        "json=k6.json.gz": "unix",
        "csv=k6.csv.gz": "unix_micro",
        "csv=k6-seconds.csv.gz": "unix",
    }
    for out, times in outs.items():
        kind, _, name = out.partition("=")
        subprocess.run(
            [program, "run", "--quiet", "--no-summary", "--out", f"{kind}={folder / name}", script],
            env={"K6_CSV_TIME_FORMAT": times, "HOME": str(made.folder), "PATH": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=_TIMEOUT_S,
        )


def record_envoy(made: Service, folder: Path) -> None:
    """Ask through Envoy, and keep its text in the default format and its JSON."""
    port = free_port()
    configuration = made.folder / "envoy.json"
    configuration.write_text(json.dumps(_envoy(made, port, folder)), encoding="utf-8")
    command = [path_of("envoy") or "envoy", "-c", str(configuration), "--concurrency", "1"]
    with running([*command, "--disable-hot-restart"], port):
        ask(port, connections=REQUESTS // 3, each=3)


def _envoy(made: Service, port: int, folder: Path) -> dict[str, Any]:
    weights = {"v1": (16, made.v1), "v2": (3, made.v2), "dead": (1, made.dead)}

    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": HOST, "port_value": number}}

    def log(name: str, **more: Any) -> dict[str, Any]:
        kind = f"{_TYPES}.access_loggers.file.v3.FileAccessLog"
        return {
            "name": "envoy.access_loggers.file",
            "typed_config": {"@type": kind, "path": str(folder / name), **more},
        }

    operators = {
        "start_time": "%START_TIME%", "connection_id": "%CONNECTION_ID%",
        "upstream_host": "%UPSTREAM_HOST%", "upstream_cluster": "%UPSTREAM_CLUSTER%",
        "response_code": "%RESPONSE_CODE%", "response_flags": "%RESPONSE_FLAGS%",
        "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "version": "%RESP(X-VERSION)%",
    }  # fmt: skip
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "app",
        "access_log": [
            log("envoy.log"),
            log("envoy.json.log", log_format={"json_format": operators}),
        ],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "app",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {
                                "weighted_clusters": {
                                    "clusters": [
                                        {"name": name, "weight": weight}
                                        for name, (weight, _) in weights.items()
                                    ]
                                }
                            },
                        }
                    ],
                }
            ]
        },
    }
    clusters = [
        {
            "name": name,
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(place)}}]}],
            },
        }
        for name, (_, place) in weights.items()
    ]
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {"address": address(port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def record_traefik(made: Service, folder: Path) -> None:
    """Ask through Traefik, once for its JSON and once for its common log format."""
    weights = {"v1": (16, made.v1), "v2": (3, made.v2), "dead": (1, made.dead)}
    services: dict[str, Any] = {
        name: {"loadBalancer": {"servers": [{"url": f"http://{HOST}:{place}"}]}}
        for name, (_, place) in weights.items()
    }
    shares = [{"name": name, "weight": weight} for name, (weight, _) in weights.items()]
    services["app"] = {"weighted": {"services": shares}}
    routers = {"app": {"rule": "PathPrefix(`/`)", "entryPoints": ["app"], "service": "app"}}
    routes = made.folder / "routes.yaml"
    routes.write_text(json.dumps({"http": {"routers": routers, "services": services}}), "utf-8")
    for form, name in (("json", "traefik.json.log"), ("common", "traefik.log")):
        port = free_port()
        command = [
            path_of("traefik") or "traefik",
            f"--entryPoints.app.address={HOST}:{port}",
            f"--providers.file.filename={routes}",
            "--providers.file.watch=false",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--accesslog=true",
            f"--accesslog.format={form}",
            f"--accesslog.filepath={folder / name}",
            "--accesslog.fields.headers.names.X-Version=keep",
        ]
        with running(command, port):
            ask(port, connections=REQUESTS // 3, each=3)


def record_haproxy(made: Service, folder: Path) -> None:
    """Ask through HAProxy, and keep what it writes to stdout with ``option httplog``."""
    port = free_port()
    configuration = made.folder / "haproxy.cfg"
    configuration.write_text(_HAPROXY % vars_of(made, port), encoding="utf-8")
    command = [path_of("haproxy") or "haproxy", "-db", "-f", str(configuration)]
    with running(command, port, folder / "haproxy.log"):
        ask(port, connections=REQUESTS // 3, each=3)


def record_apache(made: Service, folder: Path) -> None:
    """Ask through Apache, with the version, the worker and the duration in its log."""
    port = free_port()
    configuration = made.folder / "httpd.conf"
    log = folder / "apache.log"
    text = _APACHE % (
        vars_of(made, port)
        | {
            "log": log,
            "format_quoted": APACHE_FORMAT.replace('"', '\\"'),
        }
    )
    configuration.write_text(text, encoding="utf-8")
    command = [path_of("apache2") or "apache2", "-X", "-f", str(configuration)]
    with running(command, port):
        ask(port, connections=REQUESTS // 3, each=3)


def record_caddy(made: Service, folder: Path) -> None:
    """Ask through Caddy, and keep its JSON."""
    port = free_port()
    configuration = made.folder / "Caddyfile"
    log = folder / "caddy.json.log"
    configuration.write_text(_CADDY % (vars_of(made, port) | {"log": log}), encoding="utf-8")
    command = [path_of("caddy") or "caddy", "run", "--config", str(configuration)]
    with running([*command, "--adapter", "caddyfile"], port):
        ask(port, connections=REQUESTS // 3, each=3)


def vars_of(made: Service, port: int) -> dict[str, Any]:
    """Return what the configurations name."""
    return {
        "host": HOST, "folder": made.folder, "port": port, "v1": made.v1, "v2": made.v2,
        "dead": made.dead,
    }  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Record with every program that is here."""
    folder = Path(arguments[0]).resolve() if arguments else HERE
    with tempfile.TemporaryDirectory(prefix="weighbridge-recordings-") as place:
        with service(Path(place)) as made:
            ask(made.front, connections=REQUESTS // 3, each=3)
            (folder / "hey.csv").write_text(hey(made.url, REQUESTS, "-disable-keepalive"), "utf-8")
            record_k6(made, folder)
            for program, record in _PROXIES:
                if path_of(program) is not None:
                    for old in folder.glob(f"{program.rstrip('2')}*.log"):
                        old.unlink()
                    record(made, folder)
        for log in Path(place).glob("nginx-*.log"):
            lines = log.read_text("utf-8").splitlines(keepends=True)
            (folder / log.name).write_text("".join(lines[:REQUESTS]), "utf-8")
    return 0


_PROXIES = (
    ("envoy", record_envoy),
    ("traefik", record_traefik),
    ("haproxy", record_haproxy),
    ("apache2", record_apache),
    ("caddy", record_caddy),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

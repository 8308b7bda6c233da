"""Credentials that expire while a cluster is asked and watched."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
import trustme
from kubernetes_asyncio.client import Configuration

from analysis.data.report import ReasonCode, Verdict
from sampler.base.errors import UsageError
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import api as cluster_module
from sampler.expect.cluster import watch as watch_module
from sampler.expect.cluster.answers import UnauthorizedError
from sampler.expect.cluster.api import Cluster
from sampler.expect.cluster.credentials import Access, access
from sampler.expect.cluster.overview import look
from sampler.expect.cluster.watch import ClusterWatcher
from sampler.expect.rules.model import Question
from tests.clusters import (
    FakeCluster,
    Script,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    pod,
    weigh,
    write_kubeconfig,
)

BROKEN = {
    "type": "ERROR",
    "object": {"code": 500, "message": "etcd", "metadata": {"namespace": "shop"}},
}
"""Ends the watches of a kind: kmock cannot end them as a server does when their time is over."""

PLUGIN = """\
import json, pathlib, sys
folder, status = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
calls = folder / "calls"
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
n = min(len(calls.read_text()), int(sys.argv[3]))
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": f"token-{n}", **status}}))
"""


def plugin(folder, tokens=9, **status):
    """Give a user whose plugin gives token-1, token-2 … up to the last one, and that again."""
    script = folder / "plugin.py"
    script.write_text(PLUGIN)
    arguments = ["-I", "-S", str(script), str(folder), json.dumps(status), str(tokens)]
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": arguments,
        }
    }


def calls_of(folder):
    return len((folder / "calls").read_text())


def visit(*acts, reached=None, at_once=1):
    """Ask for something, then do each act and ask again, at once so many times."""

    async def asking():
        async with Cluster(reached or await access()) as cluster:
            await cluster.get("/apis")
            for act in acts:
                act()
                await asyncio.gather(*(cluster.get("/apis") for _ in range(at_once)))

    asyncio.run(asking())


@pytest.mark.parametrize("status", [{}, {"expirationTimestamp": "2099-01-01T00:00:00Z"}])
def test_a_plugin_is_asked_again_when_its_token_is_not_accepted(reach, tmp_path, status):
    with FakeCluster() as cluster:
        reach(cluster, plugin(tmp_path, **status))
        visit(lambda: cluster.revoke("token-1"))

        assert cluster.tokens() == ["token-1", "token-1", "token-2"]


def test_requests_at_the_same_time_share_one_renewal(reach, tmp_path):
    with FakeCluster() as cluster:
        reach(cluster, plugin(tmp_path))
        visit(lambda: cluster.revoke("token-1"), at_once=5)

        assert sorted(cluster.tokens()) == ["token-1"] * 6 + ["token-2"] * 5
    assert calls_of(tmp_path) == 2


def test_a_token_file_that_was_rotated_is_read_again(reach, tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")
    with FakeCluster() as cluster:
        reach(cluster, {"tokenFile": str(token)})

        def rotate():
            token.write_text("new")
            cluster.revoke("old")

        visit(rotate)

        assert cluster.tokens() == ["old", "old", "new"]


def test_a_kubeconfig_that_somebody_wrote_anew_is_read_again_and_the_context_kept(reach, tmp_path):
    with FakeCluster() as cluster:
        reach(cluster, {"token": "old"})

        def log_in():
            file = write_kubeconfig(tmp_path, cluster.url, {"token": "new"})
            config = json.loads(file.read_text())
            # Somebody works with another cluster by now.
            config["current-context"] = "other"
            config["contexts"].append({"name": "other", "context": {"cluster": "x", "user": "x"}})
            config["clusters"].append({"name": "x", "cluster": {"server": "http://127.0.0.1:1"}})
            config["users"].append({"name": "x", "user": {"token": "foreign"}})
            file.write_text(json.dumps(config))
            cluster.revoke("old")

        visit(log_in)

        assert cluster.tokens() == ["old", "old", "new"]


@pytest.mark.parametrize("is_plugin", [False, True])
def test_credentials_that_stay_the_same_are_refused_once(reach, tmp_path, is_plugin):
    user = plugin(tmp_path, tokens=1) if is_plugin else {"token": "token-1"}
    with FakeCluster() as cluster:
        reach(cluster, user)
        with pytest.raises(UnauthorizedError, match="rejected these credentials") as refused:
            visit(lambda: cluster.revoke("token-1"))

        assert cluster.tokens() == ["token-1", "token-1"]
    assert "kubectl auth whoami" in (refused.value.hint or "")


def test_a_plugin_that_fails_later_says_so(reach, tmp_path):
    with FakeCluster() as cluster:
        reach(cluster, plugin(tmp_path))

        def forget():
            (tmp_path / "plugin.py").write_text("import sys; sys.exit('log in first')")
            cluster.revoke("token-1")

        with pytest.raises(UsageError, match="log in first"):
            visit(forget)


class Rotating:
    """A certificate under one name that somebody replaces."""

    def __init__(self, folder):
        self.file, self.key = folder / "client.crt", folder / "client.key"
        self.authority = trustme.CA()
        self.issue("one.example")

    def issue(self, name):
        issued = self.authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(self.file)
        issued.private_key_pem.write_to_path(self.key)

    def is_stale(self):
        return False

    async def renew(self, configuration):
        configuration.cert_file, configuration.key_file = str(self.file), str(self.key)
        self.issue("another.example")


def test_a_certificate_that_was_replaced_is_presented_from_then_on(tmp_path):
    origin = Rotating(tmp_path)

    async def asking(configuration):
        reached = Access(configuration, "shop", "test", origin)
        async with Cluster(reached) as cluster:
            first = cluster._client
            assert await cluster._renew(0)
            await cluster.get("/apis")
            return first, cluster._client

    with FakeCluster() as cluster:
        configuration = Configuration(host=cluster.url)
        configuration.cert_file, configuration.key_file = str(origin.file), str(origin.key)
        first, second = asyncio.run(asking(configuration))

    assert first is not second


def test_plugins_are_not_asked_all_the_time(reach, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_SELDOM_S", 1000.0)
    with FakeCluster() as cluster:
        reach(cluster, plugin(tmp_path))
        with pytest.raises(UnauthorizedError):
            visit(lambda: cluster.revoke("token-1"), lambda: cluster.revoke("token-2"))

    assert calls_of(tmp_path) == 2


def service_account(folder, monkeypatch):
    for name, text in (("token", "first"), ("namespace", "shop"), ("ca.crt", "x")):
        (folder / name).write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(folder / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


def account_of(folder, cluster):
    """Reach a cluster as a pod does, and over plain HTTP."""
    reached = asyncio.run(access(account=folder))
    reached.configuration.host = cluster.url
    reached.configuration.ssl_ca_cert = None
    return reached


def test_the_rotated_token_of_a_pod_is_used_before_the_old_one_expires(monkeypatch, tmp_path):
    service_account(tmp_path, monkeypatch)
    with FakeCluster() as cluster:
        reached = account_of(tmp_path, cluster)

        def rotate():
            # As the kubelet does: another file under the same name.
            (tmp_path / "later").write_text("second\n")
            (tmp_path / "later").replace(tmp_path / "token")

        visit(rotate, reached=reached)

        assert cluster.tokens() == ["first", "second"]


def test_a_token_that_is_being_written_leaves_the_old_one_in_use(monkeypatch, tmp_path):
    service_account(tmp_path, monkeypatch)
    with FakeCluster() as cluster:
        reached = account_of(tmp_path, cluster)

        visit(lambda: (tmp_path / "token").write_text(""), reached=reached)

        assert cluster.tokens() == ["first", "first"]


def jwt(name, expires=0):
    """Give a token that only looks like one."""
    parts: tuple[dict[str, object], ...] = ({"alg": "none"}, {"exp": expires, "name": name}, {})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in encoded)


@pytest.fixture
def issuer():
    """An issuer whose refresh tokens can be used once: r0, then r1 …"""
    used = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({"token_endpoint": f"http://{self.headers['Host']}/token"})

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            (token,) = form["refresh_token"]
            used.append(token)
            n = len(used)
            self.answer({"id_token": jwt(f"id-{n}"), "refresh_token": f"r{n}"})

        def answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", used
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of kubernetes-asyncio
def test_an_issuer_is_asked_with_the_refresh_token_that_it_gave_last(reach, issuer):
    url, used = issuer
    provider = {
        "name": "oidc",
        "config": {
            "client-id": "us",
            "client-secret": "secret",
            "idp-issuer-url": url,
            "id-token": jwt("expired"),
            "refresh-token": "r0",
        },
    }
    with FakeCluster() as cluster:
        reach(cluster, {"auth-provider": provider})
        visit(lambda: cluster.revoke(jwt("id-1")))

        assert cluster.tokens() == [jwt("id-1"), jwt("id-1"), jwt("id-2")]
    assert used == ["r0", "r1"]


def test_a_run_outlives_its_token_and_sees_what_changes_afterwards(reach, tmp_path):
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster, plugin(tmp_path))

        def expire_and_promote():
            cluster.revoke("token-1")
            for kind in ("EndpointSlice", "Pod", "Service"):
                cluster.say(kind, BROKEN)
            cluster.add(pod("v2-1", "v2", "app-canary"))
            cluster.change(deployment("app", "v1", 2))
            cluster.change(deployment("app-canary", "v2", 2))
            pods = [*names("v1", 2), *names("v2", 2)]
            cluster.change(endpoint_slice(map(endpoint, pods)))
            service.configure({"v1": 2, "v2": 2})

        report = weigh(service.url, Script((100, expire_and_promote)))
        tokens = cluster.tokens()

    assert report.verdict is Verdict.PASS, (report.reasons, report.events)
    assert report.expected.weights == {"v1": 2, "v2": 2}
    assert tokens[-1] == "token-2"
    assert calls_of(tmp_path) == 2


def test_a_run_whose_token_cannot_be_renewed_ends_undecided(reach, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_SELDOM_S", 1000.0)
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster, plugin(tmp_path, tokens=1))

        def expire():
            cluster.revoke("token-1")
            for kind in ("EndpointSlice", "Pod", "Service", "Deployment"):
                cluster.say(kind, BROKEN)

        report = weigh(service.url, Script((100, expire)), tolerance="2pp", wait_s=0.5)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "can no longer be watched" in report.reasons[0].message
    assert calls_of(tmp_path) == 2  # however many streams there are


def test_while_a_watch_takes_long_to_open_what_should_be_is_not_known(reach, monkeypatch):
    monkeypatch.setattr(watch_module, "REOPENED_WITHIN_S", 0.05)

    async def scenario():
        overview = await look(Question("app"))
        key = next(each for each in overview.state.objects if each[0].kind == "EndpointSlice")
        watcher = overview.watch(None).watcher
        assert isinstance(watcher, ClusterWatcher)
        watcher._keys = []
        touched, opened = asyncio.Event(), asyncio.Event()
        touch, watch = watcher._touch, Cluster.watch

        async def slow(self, *arguments):
            await opened.wait()
            return await watch(self, *arguments)

        def touch_and_tell(*at_ns):
            touch(*at_ns)
            touched.set()

        monkeypatch.setattr(watcher, "_touch", touch_and_tell)
        monkeypatch.setattr(Cluster, "watch", slow)
        async with watcher:
            assert watcher.changes() == []
            opening = asyncio.create_task(watcher._open(key))
            await touched.wait()
            (lost,) = watcher.changes()
            touched.clear()
            opened.set()
            await opening
            assert watcher.changes() == []  # it has to last
            await touched.wait()
            (found,) = watcher.changes()
        return lost, found

    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        lost, found = asyncio.run(scenario())

    assert lost.expectation is None
    assert "no watch could be opened" in lost.text
    assert found.expectation.split.weight_of == {"v1": 9, "v2": 1}
    assert "known again" in found.text

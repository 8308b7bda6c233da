"""One look at a cluster: what is configured, what runs, and what is inconsistent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from sampler.base.clock import run_clock
from sampler.base.errors import ExpectationError
from sampler.expect.cluster.api import TIMEOUT_S, Cluster
from sampler.expect.cluster.credentials import access
from sampler.expect.cluster.news import ExpectationChange
from sampler.expect.cluster.position import locate
from sampler.expect.cluster.standing import Deciding, Standing
from sampler.expect.cluster.state import changed_at, in_namespace, read, refuse_unreadable, watched
from sampler.expect.cluster.watch import ClusterWatcher, Watch
from sampler.expect.lint import lint
from sampler.expect.rules.endpoints import SERVICE_NAME
from sampler.expect.rules.findings import refusal
from sampler.expect.rules.model import NotYetError
from sampler.expect.rules.places import entries_of
from sampler.expect.views import ContradictionError, Views, compare_views

if TYPE_CHECKING:
    from sampler.base.clock import Clock
    from sampler.expect.cluster.credentials import Access
    from sampler.expect.cluster.standing import Sight
    from sampler.expect.cluster.state import ClusterState
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Question
    from sampler.expect.rules.objects import KubeObject


@dataclass(frozen=True, slots=True)
class Overview:
    """What one look at a cluster says about a split.

    Parameters
    ----------
    access : Access
        How the cluster was reached.
    state : ClusterState
        What was read.
    question : Question
        With the namespace that holds.
    views : Views
        The split, side by side; empty where it cannot be said.
    findings : tuple of Finding
        Of reading, comparing and lint.
    refusal : ExpectationError or None
        Why there is no split to weigh, if so: a contradiction, or something that is missing.
    """

    access: Access
    state: ClusterState
    question: Question
    views: Views
    findings: tuple[Finding, ...]
    refusal: ExpectationError | None

    def address(self) -> str:
        """Return the URL of the Service that was asked about.

        Raises
        ------
        ExpectationError
            If it has no address, or several ports.
        """
        service = self.state.running().find(
            "Service", self.question.service, self.question.namespace
        )
        if service is None:
            raise ExpectationError("no Service was named", hint="give a URL")
        host = _host_of(service)
        ports = [each["port"].integer() for each in service["spec"]["ports"]]
        if not host or len(ports) != 1:
            raise ExpectationError(
                f"{service.place}: {service} has "
                + ("no address" if not host else f"the ports {', '.join(map(str, ports))}"),
                hint="give the URL to send requests to",
            )
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if ports[0] == 443 else 'http'}://{shown}:{ports[0]}/"

    def expectation(self, deciding: Deciding | None = None) -> Expectation:
        """Return the split that a check begins with.

        Parameters
        ----------
        deciding : Deciding or None
            Which split is judged, if somebody chose.

        Raises
        ------
        ExpectationError
            If there is no split to judge, and a roll-out will not bring one.
        """
        return self._begin(self.standing(deciding))[0]

    def _begin(self, standing: Standing) -> tuple[Expectation, Sight]:
        """Return what a check begins with: the split that is judged, and why none is yet.

        Raises
        ------
        ExpectationError
            If there is no split to judge, and a roll-out will not bring one.
        """
        if self.refusal is not None and not isinstance(
            self.refusal, (ContradictionError, NotYetError)
        ):
            raise self.refusal
        seen = standing.look(self.state, run_clock())
        asked = seen.asked
        if standing.deciding is Deciding.OBSERVED and self.views.unseen is not None:
            asked = self.views.configured  # until there are endpoints, for nothing is judged
        if asked is None:
            why = "" if self.views.unread is None else f": {self.views.unread}"
            raise self.refusal or ExpectationError(
                f"the {standing.deciding or 'expected'} split is not known{why}",
                hint="choose another one with --expected, or declare it with --expect",
            )
        return asked, seen

    def standing(self, deciding: Deciding | None = None, now: datetime | None = None) -> Standing:
        """Return what folds this look and those to come.

        Parameters
        ----------
        deciding : Deciding or None
            Which split is judged, if somebody chose.
        now : datetime or None
            The present; None looks at the clock.
        """
        began = now or datetime.now(UTC) - timedelta(seconds=self.state.ahead_s)
        return Standing(self.question, self.views.declared, deciding, began)

    def watch(
        self,
        settle_s: float | None,
        now: datetime | None = None,
        *,
        deciding: Deciding | None = None,
        wait_s: float = inf,
        clock: Clock = run_clock,
    ) -> Watch:
        """Return how to watch for changes during the run.

        Parameters
        ----------
        settle_s : float or None
            How long nothing is judged after a change [s]; None finds out.
        now : datetime or None
            The present; None looks at the clock.
        deciding : Deciding or None
            Which split is judged, if somebody chose.
        wait_s : float
            How long the run waits for a roll-out [s].
        clock : Clock
            Of the run.

        Raises
        ------
        ExpectationError
            If there is no split to judge, and a roll-out will not bring one.
        """
        standing = self.standing(deciding, now)
        asked, sight = self._begin(standing)
        sources = [each for each in (asked, sight.observed, self.views.configured) if each]
        kinds = {each.kind for source in sources for each in source.objects}
        keys = watched(self.state, self.question, kinds)
        changed = changed_at(each for source in sources for each in self._movers(source))
        age_s = None
        if changed is not None:
            age_s = max((standing.began - changed).total_seconds(), 0.0)
        watcher = ClusterWatcher(self.access, self.state, keys, standing, sight, clock)
        start = ExpectationChange.of(sight, clock())
        return Watch(watcher, settle_s, age_s, (self._remark(),), start, wait_s)

    def _movers(self, expected: Expectation) -> list[KubeObject]:
        """Return the objects whose last change moved the split: slices and pods among them."""
        names = {each.name for each in expected.objects if each.kind == "Service"}
        running = self.state.running()
        slices = [
            each for each in running.of("EndpointSlice") if each.labels.get(SERVICE_NAME) in names
        ]
        pods = {
            target["name"].text("")
            for each in slices
            for endpoint in each["endpoints"]
            if (target := endpoint["targetRef"]).exists
        }
        return [
            *expected.objects,
            *slices,
            *(each for each in running.of("Pod") if each.name in pods),
        ]

    def _remark(self) -> str:
        """Describe in one sentence what was declared, configured and running at the start."""
        parts = [
            f"{name} {each.split}"
            for name, each in (
                ("declared", self.views.declared),
                ("configured", self.views.configured),
                ("endpoints", self.views.observed),
            )
            if each is not None
        ]
        if self.views.elsewhere:
            parts.append(self._way())
        if ahead_s := self.state.ahead_s:
            way = "ahead of" if ahead_s > 0 else "behind"
            parts.append(
                f"this machine's clock is {abs(ahead_s):.0f} s {way} the API server's, which holds"
            )
        return f"read from the cluster at the start: {'; '.join(parts)}"

    def _way(self) -> str:
        """Describe why only some of the ready endpoints count."""
        running, place = self.state.running(), self.question.place
        service = running.named(("Service",), self.question.service, self.question.namespace)
        ways = [each.in_words(service) for each in entries_of(service, running, self.question)]
        return (
            f"the client is {place.client}{f' on {place.node}' if place.node else ''}, and its "
            f"requests enter by {' or '.join(ways)}: the other ready endpoints are not for it"
        )


async def look(
    question: Question,
    context: str | None = None,
    declared: Expectation | None = None,
    timeout_s: float = TIMEOUT_S,
    *,
    in_pod: bool = False,
) -> Overview:
    """Look at a cluster.

    Parameters
    ----------
    question : Question
        Without a Service and a route, only findings are given.
    context : str or None
        Of the kubeconfig.
    declared : Expectation or None
        From manifests, to compare with.
    timeout_s : float
        How long an answer of the API server may take [s].
    in_pod : bool
        Whether this is a pod of the cluster, and no kubeconfig is to be read.

    Raises
    ------
    UsageError
        If there are no credentials, or they are not accepted.
    ClusterError
        If the API server cannot be reached or does not answer.
    """
    reached = await access(context, in_pod=in_pod)
    question = in_namespace(question, reached.namespace)
    async with Cluster(reached, timeout_s) as cluster:
        state = await read(cluster, question)
    question = await _placed(question, state, reached)
    await asyncio.sleep(0)  # lets the connections close
    return compare(reached, state, question, declared)


def compare(
    reached: Access, state: ClusterState, question: Question, declared: Expectation | None
) -> Overview:
    """Compare what was read of a cluster; parameters as for `look` and of `Overview`."""
    views = Views(declared=declared)
    refused: ExpectationError | None = None
    if question.service or question.route:
        try:
            refuse_unreadable(state)
            views = compare_views(declared, state.configured(), state.running(), question)
            refused = views.contradiction() or views.unseen
        except ExpectationError as error:
            refused = error
    findings = [*state.findings, *views.findings]
    if views.observed is not None:
        findings += views.observed.findings
    among = None if views.observed is None else _asked(views)
    findings += lint(state.configured(), question, among)
    if refused is not None:
        findings.append(refusal(refused, ""))
    return Overview(reached, state, question, views, tuple(dict.fromkeys(findings)), refused)


async def _placed(question: Question, state: ClusterState, reached: Access) -> Question:
    """Return the question with where the client stands, and what a check asks without a URL."""
    running = state.running()
    place = question.place
    service = running.find("Service", question.service, question.namespace)
    if service is not None and not place.addresses:
        place = replace(place, addresses=frozenset({_host_of(service)} - {""}))
    located = await locate(place, running, reached.namespace, reached.configuration.host)
    return replace(question, place=located)


def _host_of(service: KubeObject) -> str:
    """Return the address of a Service's load balancer, or else its cluster IP."""
    outside = [
        each["ip"].text("") or each["hostname"].text("")
        for each in service["status"]["loadBalancer"]["ingress"]
    ]
    inside = service["spec"]["clusterIP"].text("")
    return next(filter(None, [*outside, "" if inside == "None" else inside]), "")


def _asked(views: Views) -> list[KubeObject]:
    """Return what lint looks at: the objects of the split, pods and slices left out."""
    found = [
        each
        for column in (views.configured, views.observed)
        if column is not None
        for each in column.objects
        if each.kind not in {"Pod", "EndpointSlice"}
    ]
    unique = {(each.kind, each.full_name): each for each in reversed(found)}
    return list(reversed(list(unique.values())))

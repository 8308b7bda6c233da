"""Look at a cluster again and again, until there is a split that a check can begin with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S, run_clock
from sampler.base.errors import ClusterError, ExitCode, ExpectationError
from sampler.expect.rules.model import NotYetError
from sampler.expect.rules.objects import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sampler.expect.cluster.overview import Overview
    from sampler.expect.cluster.standing import Deciding

LOOKS_EVERY_S = 1.0
"""How often `look_until_known` looks [s]."""


class NeverKnownError(ExpectationError):
    """There was no split to judge, as long as was waited for one."""

    exit_code = ExitCode.INCONCLUSIVE


async def look_until_known(
    look_once: Callable[[], Awaitable[Overview]],
    deciding: Deciding | None,
    wait_s: float,
    on_wait: Callable[[str], None],
) -> Overview:
    """Look again and again, until there is a split that a check can begin with.

    Parameters
    ----------
    look_once : callable
        Looks.
    deciding : Deciding or None
        Which split is judged, if somebody chose.
    wait_s : float
        For how long [s].
    on_wait : callable
        Told once why there is none yet.

    Returns
    -------
    Overview
        The last one; `Overview.expectation` may still refuse it for good.

    Raises
    ------
    NeverKnownError
        If the time is over.
    ClusterError
        If the API server does not answer the first look; later ones are repeated.
    """
    until_ns, said = run_clock() + wait_s * NS_PER_S, ""
    while True:
        try:
            overview = await look_once()
            why = _why_not_yet(overview, deciding, was_there=bool(said))
        except ClusterError as error:
            if not said:
                raise  # it has never answered: another context, no VPN
            why = error
        else:
            if why is None:
                return overview
        if run_clock() >= until_ns:
            raise NeverKnownError(
                f"in {wait_s:g} s no split became known: {why}",
                hint="kubectl get deployments,endpointslices; --wait waits longer, and "
                "--manifests or --expect say what is expected",
            ) from why
        if not said:
            on_wait(said := str(why))
        await asyncio.sleep(LOOKS_EVERY_S)


def _why_not_yet(
    overview: Overview, deciding: Deciding | None, *, was_there: bool
) -> Exception | None:
    """Return why there is no split yet; None if there is one, or never will be."""
    try:
        overview.expectation(deciding)
    except NotYetError as error:
        return overview.views.unread or error
    except UnknownNameError as error:
        if was_there:
            raise NeverKnownError(
                f"what the check waited for was there and is deleted: {error}",
                hint="apply it again, and check again; kubectl get events, and the audit log of "
                "the API server, tell who deleted it",
            ) from error
    except ExpectationError:
        pass
    return None

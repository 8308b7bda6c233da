"""Gates of kind ``watch``: the verdict of a `weighbridge watch` that runs elsewhere, as it stands.

Nothing is sent to the target. A FAIL is a drift that goes on, a PASS a stretch that is proven;
everything else is INCONCLUSIVE. What cannot be read, or is not of the present, measures nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp
from yarl import URL

from analysis.data.live import LiveState, State, state_of
from analysis.data.report import ReasonCode
from sampler.base.errors import UsageError
from sampler.base.tokens import authorization
from sampler.serve.outcome import Kind, Outcome, line_of, undecided

NOT_PROVEN = "not_proven"
"""Reason of a stretch that has neither passed nor failed yet."""
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_LONGEST = 1 << 20
_OLDEST_S = 30.0
_HINT = "see whether the watch runs, and listens there: weighbridge watch --listen HOST:PORT"


async def look_at_watch(url: str, target: str, token_file: str = "") -> Outcome:
    """Return what a watch says of a target now.

    Parameters
    ----------
    url : str
        Where it listens.
    target : str
        Its name; empty for the first one.
    token_file : str, default ""
        Where the token is that it asks for, read at each look; empty for none.
    """
    query = {"target": target} if target else {}
    try:
        headers = authorization(Path(token_file) if token_file else None)
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False, headers=headers) as client,
            client.get(URL(url) / "api/state" % query, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return _unseen(f"the watch at {url} answers {response.status}")
            body = bytearray()
            async for part in response.content.iter_any():  # an answer comes in parts
                body += part
                if len(body) > _LONGEST:
                    return _unseen(f"the watch at {url} answers more than {_LONGEST >> 20} MiB")
        state = state_of(bytes(body))
    except UsageError as error:
        return _unseen(f"the watch at {url} cannot be asked: {error}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return _unseen(f"the watch at {url} cannot be asked: {str(error) or 'no answer in time'}")
    except ValueError as error:
        return _unseen(f"the watch at {url} answers something else: {error}")
    if (age_s := time.time() - state.at) > _OLDEST_S:
        return _unseen(f"the last state of the watch at {url} is {age_s:.0f} s old")
    return outcome_of_state(state)


def _unseen(sentence: str) -> Outcome:
    return undecided(sentence, "unmeasurable", Kind.UNMEASURABLE, _HINT)


def outcome_of_state(state: LiveState) -> Outcome:
    """Return what callers are told of a live state."""
    expected = {each.label: each.expected for each in state.labels if each.expected is not None}
    reason, told = _why(state)
    return Outcome(
        verdict=state.verdict.value,
        reason=reason,
        line=line_of(state.verdict.value, told),
        kind=Kind.UNMEASURABLE if state.state is State.BLIND else Kind.MEASURED,
        expected=expected,
        observed={each.label: each.share for each in state.labels if each.connections},
        low={each.label: each.interval[0] for each in state.labels if each.connections},
        high={each.label: each.interval[1] for each in state.labels if each.connections},
        connections=state.stretch.connections,
        elapsed_s=max(state.at - state.stretch.since, 0.0),
        canary=min(expected, key=lambda label: expected[label], default=""),
    )


def _why(state: LiveState) -> tuple[str, str]:
    """Return a code and a sentence."""
    match state.state:
        case State.DRIFT if state.last_alarm is not None:
            return state.last_alarm.kind, state.last_alarm.text
        case State.OK:
            told = f"{state.stretch.connections} connections inside their bands, and proven so"
            return ReasonCode.WITHIN_TOLERANCE.value, told
        case State.CHANGING:
            return ReasonCode.EXPECTATION_MOVED.value, state.why or "the expected split has changed"
        case State.BLIND:
            return ReasonCode.UNMEASURABLE.value, state.why or "nothing can be judged"
    return NOT_PROVEN, f"not proven yet, after {state.stretch.connections} connections"

"""Labels came, and not one that was expected: the question is more likely wrong than the split.

A typing error in ``--expect`` must not roll back what runs well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.report import Reason, ReasonCode
from analysis.data.split import Split
from analysis.text.rounding import amount, counted
from analysis.text.wording import listed, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.tally import Tally

REMEDY = (
    "If these are the versions, name them so in --expect; if they are no versions, set --label to "
    "the place of the version; otherwise find out what the URL leads to"
)
_NAMED = 3
"""Labels that are named, the most frequent ones."""


def only_strangers(split: Split, tally: Tally, remedy: str = REMEDY) -> Reason | None:
    """Return why nothing can be judged, if labels came and none of them is expected.

    Parameters
    ----------
    split : Split
        The expectation.
    tally : Tally
        All samples of the run.
    remedy : str
        What to do if no label is much like an expected one.
    """
    if not tally.labelled or any(tally.labels[arm] for arm in split.arms):
        return None
    found = [label for label, _ in tally.labels.most_common()]
    named = [f"{quoted(label)} ({amount(tally.labels[label])})" for label in found[:_NAMED]]
    if len(found) > _NAMED:
        named.append(f"{amount(len(found) - _NAMED)} more")
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be judged: {counted(tally.labelled, 'response')} had a label, and none of "
        f"them one of --expect {split}; found: {listed(named)}",
        _meant(split, found) or remedy,
    )


def _meant(split: Split, found: Sequence[str]) -> str:
    """Return what may have been meant; empty if no label is much like an expected one."""
    meant = {arm: [label for label in found if _are_alike(arm, label)] for arm in split.arms}
    if not any(meant.values()):
        return ""
    spelt = [meant[arm][0] if len(meant[arm]) == 1 else arm for arm in split.arms]
    if all(len(labels) <= 1 for labels in meant.values()) and len(set(spelt)) == len(spelt):
        text = str(Split(tuple(spelt), split.weights))
        if text.isprintable() and all(label == label.strip() for label in spelt):
            return f"Did you mean --expect '{text}'? Labels are compared letter by letter"
    arm, labels = next((arm, labels) for arm, labels in meant.items() if labels)
    return (
        f"Did you mean {quoted(labels[0])} by {quoted(arm)}? Labels are compared letter by letter, "
        "blanks and prefixes included"
    )


def _are_alike(arm: str, label: str) -> bool:
    """Whether two labels differ only in case, blanks, or what stands before or behind one."""
    short, long = sorted((arm.strip().casefold(), label.strip().casefold()), key=len)
    if not short:
        return False
    before, behind = long.removesuffix(short), long.removeprefix(short)
    return (
        short == long
        or (before != long and (before == "v" or not before[-1].isalnum()))
        or (behind != long and not behind[0].isalnum())
    )

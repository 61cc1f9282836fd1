"""Which metrics are shown where; every list is cut to what the runs have numbers for."""

from __future__ import annotations

from collections.abc import Sequence

from undrift.bench.report.results import Arm, Info, Results

FREEZE, DRIFT = "freeze-rate", "drift-rate"
HEADLINES = (
    FREEZE,
    DRIFT,
    "edit-success",
    "edit-score",
    "unasked-changes",
    "truth-psnr-outside",
)
CURVES = (
    FREEZE,
    DRIFT,
    "edit-success",
    "edit-score",
    "truth-psnr-outside",
    "drift-rate-since-original",
    "unasked-changes-since-original",
    "original-psnr-outside",
    "original-colour-shift-outside",
)
TYPES = ("edit-success", FREEZE, DRIFT)
RANKING = ("edit-score", "edit-success")
"""What makes a case the best or the worst for the contact sheets; the first that is there."""
OURS = "undrift"
RECONSTRUCT = "reconstruct"
ROUNDS = (1, 2, 4, 8, 16)
_PAPER_ORDER = ("fid", "clip-t", "clip-i")
PAPER, PIE, DRIFTING, COST = "paper", "pie-bench", "drift", "cost"


def present(results: Results, names: Sequence[str]) -> list[Info]:
    """Those of ``names`` that some method has turns scored with."""
    return [results.infos[name] for name in names if any(name in arm.values for arm in results.arms)]


def of_group(results: Results, group: str) -> list[Info]:
    """The metrics of a group that have numbers, sets' included; the paper's in its order."""
    return sorted((info for info in results.infos.values() if info.group == group), key=_order)


def _order(info: Info) -> tuple[int, str]:
    first = [rank for rank, prefix in enumerate(_PAPER_ORDER) if info.name.startswith(prefix)]
    return (first[0] if first else len(_PAPER_ORDER), info.name)


def paper_s_own(results: Results) -> list[Info]:
    """What the paper's Table 1 has: FID, CLIP-T and CLIP-I, of the kinds that there are numbers of."""
    infos = of_group(results, PAPER)
    return [info for info in infos if info.name.startswith(_PAPER_ORDER) and "previous" not in info.name]


def headlines(results: Results) -> list[Info]:
    """Ground truth where it is known; else the paper's and PIE-Bench's numbers of single turns."""
    known = present(results, HEADLINES)
    return known or _without_truth(results)


def curves(results: Results) -> list[Info]:
    """What is drawn over the turns."""
    known = present(results, CURVES)
    return known if present(results, HEADLINES) else _without_truth(results) + known


def since_original(results: Results) -> list[Info]:
    """How far whole pictures are from the original: the paper's metrics and the drift ones."""
    infos = [info for group in (PAPER, DRIFTING) for info in of_group(results, group)]
    whole = [info for info in infos if "previous" not in info.name and not info.name.endswith("-outside")]
    return sorted(whole, key=lambda info: (info.group != PAPER, info.unit != "dB"))


def _without_truth(results: Results) -> list[Info]:
    return present(results, [info.name for group in (PAPER, PIE) for info in of_group(results, group)])


def reference_of(results: Results, wanted: str | None) -> Arm:
    """The method that others are compared with: by label; else ``undrift`` or the first there is.

    Raises:
        InputError: ``wanted`` names none; the message lists what there is.
    """
    if wanted is not None:
        return results.arm(wanted)
    ours = [arm for arm in results.arms if arm.spec.method == OURS]
    return next((arm for arm in ours if arm.label == OURS), (ours or list(results.arms))[0])

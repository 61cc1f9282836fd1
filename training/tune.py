"""Finds the embedded model's own guidance and strength per method: `python -m training.tune`.

The methods' defaults are FLUX.1-dev's constants; a model of a drawn world wants others. For every method a few values
are tried one parameter after another, on sequences of edits that nothing else uses. The best are written to
`training/tuned.json` and into the model's folder, where `training.save` puts them again. Every trial is kept in
`training/tuning.json`; one that is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from training import chains, run
from undrift.attention.sites import Site
from undrift.backbones import Backbone, load
from undrift.backbones.base import Latent
from undrift.backbones.flux import FLUX_BLOCKS, VITAL_SITES
from undrift.backbones.locate import LITTLEWORLD
from undrift.littleworld.scoring import TurnScore, mean_score
from undrift.littleworld.sequences import EditSequence
from undrift.littleworld.weights import model_path
from undrift.methods.registry import get

TUNED, RECORD = Path(__file__).with_name("tuned.json"), Path(__file__).with_name("tuning.json")
FIRST_SEED = 50_000_000
"""Sequences from here on are for tuning alone."""

FIXED: Mapping[str, Mapping[str, Any]] = {
    "rf_inversion": {"inversion_guidance": 1.0},
    "undrift": {
        "steps": 14,
        "skipped": 0.36,
        "addition_skipped": 0.29,
        "closing": 0.29,
        "guidance": 1.5,
        "map_steps": 0,
    },
    "dec_flowedit": {"map_steps": 16},
}
"""The distilled guidance is known from 1 to 5; 0, which one method inverts with, means nothing to it.

`undrift` was tuned by freeze, drift and edit together, on sequences of its own (`docs/methods.md`): the objective
here knows one turn's mask alone. At equal guidance it needs no map. The map's pass of `dec_flowedit` may have no more
steps than its edit, whose number is tried.
"""

SPACE: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "undrift": {},
    "multi_turn": {"guidance": (2.0, 2.5, 3.0)},
    "fireflow": {"guidance": (1.5, 2.5, 3.0, 4.0), "inject_steps": (2, 3)},
    "steerflow": {"agreement": (False,), "guidance": (2.0, 2.75), "alpha": (2.0, 10.0), "closing": (1, 3)},
    "uniedit_flow": {"omega": (0.5, 1.0, 2.0, 3.0), "alpha": (0.7, 0.8, 0.9)},
    "reflow": {"guidance": (1.5, 2.0, 2.5)},
    "rf_inversion": {"guidance": (2.0, 2.75), "inversion_gain": (0.1, 0.25), "stop": (0.1, 0.4), "gain": (0.7, 1.0)},
    "flowedit": {"guidance": (1.5, 2.0, 3.5), "n_max": (16, 20, 27), "source_guidance": (1.0,)},
    "rf_solver": {"guidance": (1.5, 2.5, 3.0, 4.0), "inject_steps": (2,)},
    "dec_flowedit": {"guidance": (1.5,)},
    "direct_edit": {"guidance": (1.5, 3.0)},
    "flow_align": {"guidance": (1.0, 1.5, 2.5, 4.0), "alignment": (0.0, 0.03), "base_guidance": (1.5,)},
    "stable_flow": {
        "nudge": (1.0,),
        "sites": (("double.0",), ("double.0", "double.9"), ("double.0", "double.1", "double.17", "double.18")),
        "guidance": (1.5, 2.0, 4.0),
    },
    "revert_unchanged": {"threshold": (0.015, 0.06, 0.1, 0.15, 0.2, 0.3), "smoothing": (1, 3, 9)},
}
"""Values tried, one parameter after another, for the methods that have something to tune."""

SHORTER: Mapping[str, Mapping[str, Any]] = {"stable_flow": {"steps": 25}}
"""Steps while searching, for methods whose guidance and strength do not hang on their number."""

SEQUENCES, TURNS = 10, 3

UNSEEN = 40.0
"""PSNR in dB from which on a difference cannot be seen."""

FEWER: Mapping[str, tuple[int, int]] = {
    "rf_solver": (6, 2),
    "stable_flow": (4, 2),
    "dec_flowedit": (6, 2),
    "direct_edit": (6, 2),
    "flow_align": (6, 2),
}
"""Sequences and turns for the methods that cost the most."""

FLUX_SHARE = len(VITAL_SITES) / sum(FLUX_BLOCKS)

WORTH = 0.02
"""A value replaces another only if it is better by this much, so that noise does not move the papers' constants."""


class Trials:
    """Runs chains of edits and remembers what each set of parameters scored."""

    def __init__(
        self, backbone: Backbone, sequences: Sequence[EditSequence], turns: int, record: Path | None = None
    ) -> None:
        self._backbone, self._sequences, self._turns = backbone, sequences, turns
        self._record = record or RECORD
        self._kept: list[dict[str, Any]] = json.loads(self._record.read_text()) if self._record.exists() else []

    def objective(self, method: str, overrides: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> float:
        """Obedience and preservation in one number: mean over turns of edit (at least -1) + outside / 30 dB, of at
        most `UNSEEN`: nobody sees more, and a turn that changes nothing would earn what no edit can."""
        resolved = get(method, overrides=overrides, tuned=tuned).params.model_dump(mode="json")
        key = {
            "weights": self._backbone.identity.weights_hash,
            "method": method,
            "params": resolved,
            "sequences": len(self._sequences),
            "turns": self._turns,
        }
        for trial in self._kept:
            if key.items() <= trial.items():
                return float(trial["objective"])
        editor = get(method, overrides=resolved)
        scores = list(chains.scores(self._backbone, editor, self._sequences, self._turns))
        # Rounded before anything is decided, so that the record leads to the same decisions.
        value = round(sum(max(-1.0, s.edit) + min(s.outside, UNSEEN) / 30.0 for s in scores) / len(scores), 4)
        self._kept.append({**key, "objective": value, "scores": _rounded(mean_score(scores))})
        self._record.write_text(_lines(self._kept), encoding="utf-8")
        print(f"{method:<18} {value:.3f}  {dict(overrides)}", flush=True)
        return value


def search(
    trials: Trials,
    method: str,
    tuned: Mapping[str, Mapping[str, Any]],
    space: Mapping[str, Sequence[Any]] | None = None,
    shorter: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The best value of one parameter after another, from the method's defaults on; only changes are returned.

    The best of a parameter's values is taken where it beats the value so far by more than ``WORTH``.

    Args:
        trials: score parameters.
        method: whose.
        tuned: what was found for the methods before.
        space: values by parameter; default: those in ``SPACE``.
        shorter: parameters while searching that are not kept; default: those in ``SHORTER``.
    """
    chosen: dict[str, Any] = dict(FIXED.get(method, {}))
    shorter = SHORTER.get(method, {}) if shorter is None else shorter
    space = SPACE[method] if space is None else space
    others = {name: values for name, values in tuned.items() if name != method}
    best = trials.objective(method, {**shorter, **chosen}, others)
    for name, values in space.items():
        tried = {value: trials.objective(method, {**shorter, **chosen, name: value}, others) for value in values}
        winner = max(tried, key=tried.__getitem__)
        if tried[winner] > best + WORTH:
            best, chosen = tried[winner], {**chosen, name: winner}
    default = get(method).params.model_dump(mode="json")
    return {name: value for name, value in chosen.items() if default[name] != value}


def vital_sites(backbone: Backbone, captions: Sequence[str]) -> list[tuple[str, int]]:
    """The layers whose absence changes samples the most (Stable Flow, arXiv 2411.14430, section 3.2).

    As large a share of the layers as in FLUX.1, the most vital first.
    """
    pictures = backbone.encode([s.picture(0) for s in _sequences(len(captions))])
    field = backbone.velocity_field(backbone.embed(captions), pictures.geometry, 1.0)
    noise = torch.randn(pictures.packed.shape, generator=torch.Generator().manual_seed(0))
    whole = _sampled(backbone, field, noise, pictures)
    change = {}
    for site, block in _blocks(backbone).items():
        handle = block.register_forward_hook(_bypass, with_kwargs=True)
        try:
            change[site] = float((_sampled(backbone, field, noise, pictures) - whole).abs().mean())
        finally:
            handle.remove()
    return sorted(change, key=lambda site: -change[site])[: round(len(change) * FLUX_SHARE)]


def _bypass(block: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> Any:
    return kwargs["encoder_hidden_states"], kwargs["hidden_states"]


def _blocks(backbone: Any) -> dict[tuple[str, int], torch.nn.Module]:
    net = backbone._network
    double = {("double", i): block for i, block in enumerate(net.transformer_blocks)}
    return {**double, **{("single", i): block for i, block in enumerate(net.single_transformer_blocks)}}


def _sampled(backbone: Backbone, field: Any, noise: torch.Tensor, like: Latent) -> torch.Tensor:
    from undrift.flow import Euler, integrate

    return integrate(field, Euler(), noise, backbone.sigmas(10, like.geometry)).final


def _sequences(count: int) -> list[EditSequence]:
    return chains.sequences(FIRST_SEED, count)


def _rounded(score: TurnScore) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(score).items()}


def _lines(trials: Sequence[Mapping[str, Any]]) -> str:
    return "[\n" + ",\n".join(json.dumps(trial) for trial in trials) + "\n]\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=LITTLEWORLD)
    parser.add_argument("--methods", nargs="*", help="only these, keeping what was found for the others")
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    run.prepare(args.threads)
    backbone = load(args.model, device="cpu")
    found: dict[str, Any] = json.loads(TUNED.read_text()) if args.methods and TUNED.exists() else {"tuned": {}}
    if "vital_sites" not in found:
        found["vital_sites"] = vital_sites(backbone, [s.captions[0] for s in _sequences(4)])
        _write(found, args.model)
        print("vital layers:", found["vital_sites"], flush=True)
    vital = tuple(Site(kind, index) for kind, index in found["vital_sites"])
    backbone.capabilities = replace(backbone.capabilities, vital_sites=vital)
    for method in args.methods or SPACE:
        count, turns = FEWER.get(method, (args.sequences, args.turns))
        trials = Trials(backbone, _sequences(count), turns)
        found["tuned"][method] = search(trials, method, found["tuned"])
        _write(found, args.model)


def _write(found: Mapping[str, Any], model: str) -> None:
    text = json.dumps(found, indent=1) + "\n"
    TUNED.write_text(text, encoding="utf-8")
    if model == LITTLEWORLD:
        (model_path() / "undrift.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

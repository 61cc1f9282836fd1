"""A turn that a session holds already, made as it is asked for now: it need not be made again."""

from __future__ import annotations

from PIL import Image

from undrift.backbones.base import Backbone
from undrift.files import sha256
from undrift.methods.base import EditMethod
from undrift.pictures import mask_bytes
from undrift.session.model import Turn
from undrift.session.region import brushed, checked
from undrift.session.tree import Tree


def turn_there(
    tree: Tree,
    parent: Turn,
    text: str,
    method: EditMethod,
    backbone: Backbone,
    seed: int,
    region: Image.Image | None = None,
) -> Turn | None:
    """The newest turn made from ``parent`` by the same words, method, weights, seed and region; None without one.

    Args:
        tree, parent: where to look.
        text: what was said, an instruction or a caption.
        method, backbone, seed, region: what the turn would be made with, as for ``run_turn``.

    Raises:
        InputError: a region of another size, or black everywhere.
    """
    params = method.pinned(backbone).params.model_dump(mode="json")
    allowed = checked(region, (parent.width, parent.height))
    region_hash = None if allowed is None else sha256(mask_bytes(allowed))
    wanted = (method.name, params, seed, region_hash, backbone.identity.name, backbone.identity.weights_hash)
    for turn in reversed(tree.children(parent)):
        spec = turn.spec
        if spec is None or spec.references_hash or text not in (spec.instruction, spec.target_prompt):
            continue
        if (spec.method, spec.params, spec.seed, spec.region_hash, spec.model, spec.weights_hash) == wanted:
            return turn
    return None


def restored_there(tree: Tree, parent: Turn, anchor: Turn, brush: Image.Image) -> Turn | None:
    """The newest turn that puts ``anchor`` back into ``parent`` where ``brush`` is white; None without one.

    Raises:
        InputError: a brush of another size, or black everywhere.
    """
    wanted = (anchor.id, sha256(mask_bytes(brushed(brush, (parent.width, parent.height)))))
    for turn in reversed(tree.children(parent)):
        if turn.restore is not None and (turn.restore.anchor, turn.restore.region_hash) == wanted:
            return turn
    return None

"""The ComfyUI nodes, loaded and run as ComfyUI's documents say that it does: package, entry point, schema, graph.

``test_inside_comfyui.py`` does it in ComfyUI itself, where there is one.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import undrift
from tests.support import tiny_sd
from tests.support.asynchronous import run_async
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.errors import InputError
from undrift.methods import registry
from undrift.methods.null_text import NullText, NullTextParams
from undrift.session.store import Session

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "integrations" / "comfyui"
STANDIN = ROOT / "tests" / "support" / "comfy_standin"

Graph = dict[str, dict[str, Any]]
Nodes = dict[str, Any]


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """The nodes by their ids, loaded as a folder of custom nodes; every model is the toy."""
    monkeypatch.syspath_prepend(str(STANDIN))
    folders = ModuleType("folder_paths")
    folders.get_output_directory = lambda: str(tmp_path / "output")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "folder_paths", folders)
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    # The nodes import the public name, which keeps what it found when it was first asked for.
    monkeypatch.setattr(undrift, "all_methods", lambda: known)
    monkeypatch.setattr(registry, "DEFAULT", "toy")
    before = set(sys.modules)
    name = "custom_nodes_undrift"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys.modules[f"{name}.nodes"], "load", lambda *_, **__: ToyBackbone())
    extension = run_async(module.comfy_entrypoint)
    found = run_async(extension.get_node_list)
    yield {node.define_schema().node_id: node for node in found}
    for added in set(sys.modules) - before:
        if added.split(".")[0] in (name, "comfy_api", "comfy"):
            del sys.modules[added]


def execute(nodes: Nodes, graph: Graph, images: dict[str, torch.Tensor]) -> dict[str, tuple[Any, ...]]:
    """What every node of a graph gives; sockets are checked against the schemas, ComfyUI's own nodes are simple."""
    given: dict[str, tuple[Any, ...]] = {}

    def run(key: str) -> tuple[Any, ...]:
        if key not in given:
            kind, inputs = graph[key]["class_type"], graph[key]["inputs"]
            values = {name: run(v[0])[v[1]] if isinstance(v, list) else v for name, v in inputs.items()}
            if kind in nodes:
                check(key, kind)
                with torch.inference_mode():  # as ComfyUI
                    given[key] = nodes[kind].execute(**values).args
                assert len(given[key]) == len(nodes[kind].define_schema().outputs)
            else:
                given[key] = (images[values["image"]],) if kind == "LoadImage" else ()
        return given[key]

    def check(key: str, kind: str) -> None:
        inputs, schema = graph[key]["inputs"], nodes[kind].define_schema()
        known = {each.id: each for each in schema.inputs}
        assert set(inputs) <= set(known)
        assert {name for name, each in known.items() if not each.optional} <= set(inputs)
        for name, value in inputs.items():
            if isinstance(value, list) and graph[value[0]]["class_type"] in nodes:
                source = nodes[graph[value[0]]["class_type"]].define_schema().outputs[value[1]]
                assert source.io_type == known[name].io_type
            if known[name].options is not None:
                assert value in known[name].options

    for key in graph:
        run(key)
    return given


def picture() -> torch.Tensor:
    from numpy import asarray

    return torch.from_numpy(asarray(toy_picture(40, 32)).copy()).float()[None] / 255.0


def example() -> Graph:
    graph: Graph = json.loads((FOLDER / "example_workflow.json").read_text("utf-8"))
    return graph


def test_the_example_workflow_runs(nodes: Nodes, tmp_path: Path) -> None:
    graph = example()
    assert set(nodes) <= {node["class_type"] for node in graph.values()} | {"UndriftRestore"}
    graph["4"]["inputs"]["method"] = "toy"
    nodes["UndriftEditTurn"].define_schema()
    original = picture()
    made = execute(nodes, graph, {"dog.png": original})
    assert torch.equal(made["3"][1], original)
    at, image, caption = made["5"]
    assert caption == "a blue dog wearing a red hat next to a red cactus on a beach"
    assert image.shape == original.shape
    session = Session.open(tmp_path / "output" / "undrift" / "dog")
    assert (session.folder, session.head.id) == (at.folder, at.turn)
    assert "add a red hat" in made["7"][0]
    assert made["6"][0].shape == original.shape
    assert made["6"][1].endswith("% changed")


def test_the_same_graph_makes_no_turn_twice(nodes: Nodes, tmp_path: Path) -> None:
    graph = example()
    graph["4"]["inputs"]["method"] = "toy"
    first = execute(nodes, graph, {"dog.png": picture()})
    again = execute(nodes, graph, {"dog.png": picture()})
    assert first["5"][0] == again["5"][0]
    session = Session.open(tmp_path / "output" / "undrift" / "dog")
    assert len(session.turns()) == 3
    graph["5"]["inputs"]["text"] = "add a blue hat"
    execute(nodes, graph, {"dog.png": picture()})
    assert len(session.turns()) == 4
    other = execute(nodes, graph, {"dog.png": 1.0 - picture()})
    assert other["5"][0].folder.name == "dog-2"


def test_a_mask_bounds_a_turn_and_brings_the_original_back(nodes: Nodes) -> None:
    (model,) = nodes["UndriftLoadModel"].execute("toy", "auto", "cpu", "none", "none").args
    at, before = nodes["UndriftStartSession"].execute(model, picture(), "a cat", "masked").args
    mask = torch.zeros(1, 32, 40)
    mask[:, 8:24, 8:24] = 1.0
    said = {"text": "a dog", "read_as": "caption", "method": "toy", "dial": 0.0, "seed": 3}
    edited, image, _ = nodes["UndriftEditTurn"].execute(model=model, turn=at, mask=mask, **said).args
    assert torch.equal(image[mask == 0], before[mask == 0])
    whole, image, _ = nodes["UndriftEditTurn"].execute(model=model, turn=edited, **{**said, "seed": 4}).args
    _, back = nodes["UndriftRestore"].execute(model, whole, torch.ones(1, 32, 40), "original").args
    assert torch.equal(back, before)
    for wrong in (torch.zeros(1, 32, 40), torch.ones(1, 8, 8), torch.ones(2, 32, 40)):
        with pytest.raises(InputError, match="the mask"):
            nodes["UndriftEditTurn"].execute(model=model, turn=at, mask=wrong, **said)


def test_a_restored_turn_is_made_once(nodes: Nodes) -> None:
    (model,) = nodes["UndriftLoadModel"].execute("toy", "auto", "cpu", "none", "none").args
    at, before = nodes["UndriftStartSession"].execute(model, picture(), "a cat", "back").args
    said = {"read_as": "caption", "method": "toy", "dial": 0.0, "seed": 3}
    edited, _, _ = nodes["UndriftEditTurn"].execute(model=model, turn=at, text="a dog", **said).args
    mask = torch.zeros(1, 32, 40)
    mask[:, 8:24, 8:24] = 1.0
    first, shown = nodes["UndriftRestore"].execute(model, edited, mask, "original").args
    assert torch.equal(shown[mask == 1][10:-10], before[mask == 1][10:-10])
    for anchor in ("original", "0", at.turn):
        again, _ = nodes["UndriftRestore"].execute(model, edited, mask, anchor).args
        assert again == first
    whole, _ = nodes["UndriftRestore"].execute(model, edited, torch.ones(1, 32, 40), "original").args
    assert whole != first
    assert nodes["UndriftRestore"].execute(model, edited, torch.ones(1, 32, 40), "original").args[0] == whole
    assert len(at.session.turns()) == 4


def test_the_bar_moves_to_its_end_and_the_button_stops_a_turn(nodes: Nodes) -> None:
    management: Any = importlib.import_module("comfy.model_management")
    utils: Any = importlib.import_module("comfy.utils")
    (model,) = nodes["UndriftLoadModel"].execute("toy", "auto", "cpu", "none", "none").args
    at, _ = nodes["UndriftStartSession"].execute(model, picture(), "a cat", "bar").args
    said = {"read_as": "caption", "method": "toy", "dial": 0.0, "seed": 3}
    nodes["UndriftEditTurn"].execute(model=model, turn=at, text="a dog", **said)
    done, total = zip(*utils.shown, strict=True)
    assert list(done) == sorted(done)
    assert set(total) == {done[-1]}
    management.interrupt_processing = True
    with pytest.raises(management.InterruptProcessingException):
        nodes["UndriftEditTurn"].execute(model=model, turn=at, text="a cow", **said)
    assert len(at.session.turns()) == 2
    assert at.session.unfinished() == ()


def test_methods_that_take_gradients_run_in_comfyui_s_inference_mode(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "get", lambda *_: NullText(NullTextParams(steps=2, inner_steps=1)))
    monkeypatch.setattr(
        sys.modules["custom_nodes_undrift.nodes"], "load", lambda *_, **__: tiny_sd.backbone_of(tiny_sd.pipeline())
    )
    with torch.inference_mode():
        (model,) = nodes["UndriftLoadModel"].execute("tiny", "auto", "cpu", "none", "none").args
        at, _ = nodes["UndriftStartSession"].execute(model, picture(), "a cat", "fitted").args
        said = {"read_as": "caption", "method": "null_text", "dial": 0.0, "seed": 3}
        nodes["UndriftEditTurn"].execute(model=model, turn=at, text="a dog", **said)
    assert at.session.head.spec is not None
    assert at.session.head.spec.method == "null_text"


def test_what_cannot_be_edited_is_refused(nodes: Nodes, tmp_path: Path) -> None:
    (model,) = nodes["UndriftLoadModel"].execute("toy", "auto", "cpu", "none", "none").args
    with pytest.raises(InputError, match="expected one"):
        nodes["UndriftStartSession"].execute(model, picture().repeat(2, 1, 1, 1), "a cat", "two")
    with pytest.raises(Exception, match="session name"):
        nodes["UndriftStartSession"].execute(model, picture(), "a cat", "../two")
    at, _ = nodes["UndriftStartSession"].execute(model, picture(), "a cat", "one").args
    with pytest.raises(InputError, match="no 'the horse'"):
        nodes["UndriftEditTurn"].execute(model, at, "make the horse red", "find out", "toy", 0.0, 1)
    other, _ = nodes["UndriftStartSession"].execute(model, picture(), "a cow", "two").args
    with pytest.raises(InputError, match="of two sessions"):
        nodes["UndriftCompare"].execute(at, other)
    assert sorted(path.name for path in (tmp_path / "output" / "undrift").iterdir()) == ["one", "two"]

"""Any file of multi-turn prompts is read, or refused."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.harness import attempt, damaged, fuzzed
from undrift.bench.data.prompts import MultiTurn, cut_prompts, read_file

yaml: Any = importlib.import_module("yaml")
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of what would hide a failure

WRITTEN = """schema: 1
source: pie-bench
image_path: 0_random_140/000000000000.jpg
original_prompt: a cat
generator: {kind: templates, seed: 0, prompt_sha: abc}
instructions:
  Round 1:
    editing_instruction: a red cat
    editing_type_id: '0'
    source_prompt: a cat
    instruction: make it red
    blended_word: cat
    mask: [0, 5, 10, 3]
  Round 2:
    editing_instruction: a red cat on a beach
    editing_type_id: '8'
"""
OTHERS = [
    WRITTEN,
    "x:\n  original_prompt: a\n  instructions:\n  - Round 1: {editing_instruction: b, editing_type_id: 1}\n",
    "original_prompt: a\ninstructions:\n- {editing_instruction: b, editing_type_id: '2'}\n",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "&a [*a]\n",
    "{" * 200,
    "? [a, b]\n: c\n",
    "%YAML 9.9\n---\n!!python/object:os.system x\n",
    "%TAG !a! x\n%TAG !b! y\n--- !a!b\noriginal_prompt: a # b\n",
    "\ufefforiginal_prompt: a\r\ninstructions:\r\n- {editing_instruction: b # c\r\n  , editing_type_id: 1}\r\n",
    "--- a\n--- b\n",
]
REPEATED = (
    ["", "a: ", "a: [", "- ", 'a: "', "a: >\n ", f"{WRITTEN}    instruction: ", f"{WRITTEN}    mask: ["],
    [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "&a ",
        "!a ",
        "%A\n",
        "---\n",
        "'",
        '"',
        "\\",
        "\n",
        "\n ",
        " ",
        "x",
        "x,",
        "x: y\n",
    ],
)
"""How a file of half a megabyte could begin, and what it would repeat."""
KEYS = ["original_prompt", "instructions", "Round 1", "Round 2", "Round 99999999999999999999", "editing_instruction"]
KEYS += ["editing_type_id", "mask", "generator", "source", "image_path", "target_prompt", "blended_word", "\ud7ff"]

values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(KEYS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner)
    ),
    max_leaves=12,
)
rounds = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
files = st.one_of(
    damaged([WRITTEN.encode()]),
    damaged([text.encode() for text in OTHERS]),
    values.map(lambda value: yaml.safe_dump(value).encode("utf-8", "surrogatepass")),
    st.fixed_dictionaries(
        {"original_prompt": values, "instructions": st.one_of(rounds, st.lists(rounds, max_size=3))}
    ).map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")),
    st.binary(max_size=100),
    st.integers(1, 100_000).map(lambda depth: b"[" * depth),
    st.integers(1, 20_000).map(lambda depth: b"a: " + b"{a: " * depth),
    st.integers(1, 36_000).map(lambda count: b"".join(b"%%TAG !%x! x\n" % n for n in range(count)) + b"--- a: b\n"),
    st.builds(lambda begun, part: (begun + part * (500_000 // len(part))).encode(), *map(st.sampled_from, REPEATED)),
)


@fuzzed
@pytest.mark.slow
@given(files)
def test_prompts_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "000000000000" / "000000000000.yaml"
        file.parent.mkdir()
        file.write_bytes(data)
        prompts = attempt("prompt files", lambda: read_file(file))
        if prompts is not None:
            attempt("comments in prompt files", lambda: cut_prompts(file))
    if prompts is not None:
        assert isinstance(prompts, MultiTurn)
        assert prompts.rounds

"""From the words of a command line to methods with nothing left open, and back to methods that run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from undrift.bench.records import MethodSpec
from undrift.bench.runner.lists import named_lists
from undrift.errors import InputError
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.registry import Tuned

LABEL = re.compile(r"[A-Za-z0-9][\w.+-]*", re.ASCII)


@dataclass(frozen=True)
class Word:
    """``name``, ``name:preset`` or ``name:preset:param=value;...``, taken apart.

    Attributes:
        name, preset: of the method; an empty preset is ``default``.
        overrides: parameters by name, as text.
        label: what the word calls itself with ``label=...``, else made from the other parts.
        oracle: ``oracle=true``: it is told the true mask of every turn.
    """

    name: str
    preset: str
    overrides: Mapping[str, str]
    label: str
    oracle: bool = False

    @classmethod
    def parse(cls, text: str) -> Word:
        """Take a word apart.

        Raises:
            InputError: something that is not NAME=VALUE after the preset, or a label that cannot name a folder.
        """
        name, _, rest = text.partition(":")
        preset, _, settings = rest.partition(":")
        values = dict(_setting(item, text) for item in settings.split(";") if item.strip())
        preset = preset.strip() or "default"
        label = values.pop("label", None) or _made_label(name.strip(), preset, values)
        oracle = values.pop("oracle", "false")
        if oracle not in ("true", "false"):
            raise InputError(f"oracle={oracle} in method '{text}': expected true or false")
        if not LABEL.fullmatch(label):
            raise InputError(
                f"label '{label}' cannot name a folder: use letters, digits and . _ + -, a letter or digit first"
            )
        return cls(name.strip(), preset, values, label, oracle == "true")

    def spec(self, tuned: Tuned) -> MethodSpec:
        """The method with nothing left open.

        Raises:
            InputError: an unknown method, preset or parameter, or a value out of range.
        """
        method = registry.get(self.name, self.preset, self.overrides, tuned)
        params = method.params.model_dump(mode="json")
        return MethodSpec(label=self.label, method=self.name, preset=method.preset, params=params, oracle=self.oracle)


def specs(words: Iterable[str], tuned: Tuned, masks: bool = True) -> tuple[MethodSpec, ...]:
    """The methods that ``words`` name, lists among them replaced by what they hold; ``tuned`` as for the registry.

    Args:
        masks: whether true masks are known; where they are not, lists leave the methods out that are told them.

    Raises:
        InputError: no method, one that does not exist, two with one label, or one to be told unknown masks.
    """
    known = named_lists()
    asked = list(words)
    flat = [method for word in asked for method in known.get(word, (word,))]
    parsed = [(word, Word.parse(word)) for word in dict.fromkeys(flat)]
    blind = next((word for word, parts in parsed if parts.oracle and not masks and word in asked), None)
    if blind is not None:
        raise InputError(f"'{blind}' is told true masks, and this suite does not know them for every turn")
    found = [parts.spec(tuned) for _, parts in parsed if masks or not parts.oracle]
    if not found:
        raise InputError(f"no method to run: name methods or one of the lists {', '.join(known)}")
    twice = [label for label, count in Counter(spec.label for spec in found).items() if count > 1]
    if twice:
        raise InputError(f"two methods are called '{twice[0]}': give one another name with ;label=NAME")
    return tuple(found)


def split_words(text: str) -> Sequence[str]:
    """Words with commas between them; commas within brackets belong to a value (``ranks=[0,5]``)."""
    return [word.strip() for word in re.split(r",(?![^\[]*\])", text) if word.strip()]


def method_of(spec: MethodSpec) -> EditMethod:
    """The method of a specification."""
    return registry.recorded(spec.method, spec.params, spec.preset)


def _setting(item: str, word: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not (name.strip() and equals):
        raise InputError(f"'{item}' in method '{word}': expected NAME:PRESET:PARAMETER=VALUE;PARAMETER=VALUE")
    return name.strip(), value.strip()


def _made_label(name: str, preset: str, values: Mapping[str, str]) -> str:
    said = ["oracle" if (key, value) == ("oracle", "true") else f"{key}-{value}" for key, value in values.items()]
    parts = [name, *([preset] if preset != "default" else []), *said]
    return re.sub(r"[^\w.+-]+", "_", "-".join(parts)).strip("_") or "_"

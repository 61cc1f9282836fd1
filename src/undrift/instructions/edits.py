"""What each edit does to a caption. A function's name is the ``edit`` of its forms in ``forms.toml``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from undrift.instructions.caption import SCENE, Part, Phrase, branch, coordinate, is_animate
from undrift.instructions.draft import Draft
from undrift.instructions.english import indefinite, is_plural, is_time, preposition, same_noun
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import adjective_class, is_adjective, opposites, pairs, read_table, words
from undrift.instructions.reading import Kind, NotUnderstood
from undrift.instructions.slots import New, Place, Pose, Reference
from undrift.instructions.world import with_colour

Edit = Callable[[Draft, Gaps], None]

BESIDE = ("next", "to")
WEARING = ("wearing",)
WITH = ("with",)


def quality(draft: Draft, gaps: Gaps) -> None:
    """Give things qualities, each in place of those that it excludes."""
    for reference in gaps["things"]:
        number = draft.find(reference)
        _check_before(draft, number, gaps.get("from"))
        _set_qualities(draft, number, gaps["quality"], reference)


def material(draft: Draft, gaps: Gaps) -> None:
    """Make things of something."""
    for reference in gaps["things"]:
        number = draft.find(reference)
        made = number + 1 < len(draft.parts) and draft.parts[number + 1].lead in ("made of", "made from", "made out of")
        if made:
            draft.delete(number + 1)
        _set_qualities(draft, number, gaps["material"], reference, made="material")


def pose(draft: Draft, gaps: Gaps) -> None:
    """Let things stand, look or smile in another way."""
    wanted: Pose = gaps["pose"] if "pose" in gaps else gaps["side"]
    for reference in gaps["things"]:
        number = draft.find(reference)
        if wanted.kind == "expression":
            _express(draft, number, wanted)
        else:
            _take_pose(draft, number, wanted)
        draft.kinds.append("pose")


def remove(draft: Draft, gaps: Gaps) -> None:
    """Take things away with all that is said about them."""
    gone = gaps["things"] if "things" in gaps else gaps["gone"]
    parts = [draft.parts[draft.find(reference)] for reference in gone]
    if "anchor" in gaps:
        draft.find(gaps["anchor"])
    for part in parts:
        if part in draft.parts:
            _remove(draft, draft.parts.index(part))
        draft.kinds.append("delete")


def wear(draft: Draft, gaps: Gaps) -> None:
    """Put something on somebody; other things are put next to them, or on what cannot wear."""
    for reference in gaps.get("things", gaps.get("owner", (None,))):
        number = 0 if reference is None else draft.find_wearer(reference)
        for new in gaps["new"]:
            _check_new(draft, new)
            if is_wearable(new.phrase) and is_animate(draft.parts[number].phrase):
                _dress(draft, number, new)
                continue
            if reference is not None and "bodypart" in gaps:
                raise NotUnderstood(f"where '{new.phrase.text}' is to be is not clear: say what it is next to")
            _place_beside(draft, number, new)
            draft.kinds.append("add")


def add(draft: Draft, gaps: Gaps) -> None:
    """Add things: what can be worn to the first who can wear it, others where they are said to be, else beside."""
    relation = gaps.get("rel")
    for new in gaps["new"]:
        known = _known(draft, new)
        if known is not None and relation is not None:
            position(draft, {"thing": known, "rel": relation, "anchor": gaps["anchor"]})
            continue
        _check_new(draft, new)
        if relation is not None:
            anchor = draft.find(gaps["anchor"])
            if relation in ("on", "on top of", "around") and is_wearable(new.phrase) and is_animate(draft.phrase(anchor)):
                _dress(draft, anchor, new)
                continue
            _place_at(draft, new, relation, anchor)
        else:
            wearers = [k for k, part in enumerate(draft.parts) if is_animate(part.phrase)]
            if is_wearable(new.phrase) and wearers:
                if len(wearers) > 1:
                    names = " or ".join(f"'the {draft.phrase(k).noun}'" for k in wearers)
                    raise NotUnderstood(f"who is to wear '{new.phrase.text}'? Say {names}")
                _dress(draft, wearers[0], new)
                continue
            _place_beside(draft, 0, new)
        draft.kinds.append("add")


def replace_things(draft: Draft, gaps: Gaps) -> None:
    """Put other things in the place of things; nothing of the old ones is kept (but see ``World``)."""
    _exchange(draft, gaps, keep=False)


def transform(draft: Draft, gaps: Gaps) -> None:
    """Turn things into others, which keep the qualities that nobody spoke of."""
    _exchange(draft, gaps, keep=True)


def background(draft: Draft, gaps: Gaps) -> None:
    """Put the picture in another place."""
    place: Place = gaps["place"] if "place" in gaps else gaps["located"]
    if "from" in gaps:
        _check_place(draft, gaps["from"])
    for reference in gaps.get("things", ()):
        if not reference.is_pronoun:
            draft.find(reference)
    _set_place(draft, place)


def when(draft: Draft, gaps: Gaps) -> None:
    """Change the time of day or the weather."""
    _set_place(draft, gaps["time"])


def style(draft: Draft, gaps: Gaps) -> None:
    """Give the whole picture a style."""
    before = (draft.opening, draft.manner)
    if "artist" in gaps:
        draft.manner = f", in the style of {gaps['artist']}"
    else:
        draft.opening, draft.manner = f"{gaps['style']} of", ""
    if before == (draft.opening, draft.manner):
        raise NotUnderstood("the picture already has this style")
    draft.kinds.append("style")


def position(draft: Draft, gaps: Gaps) -> None:
    """Put a thing that is there somewhere else."""
    number = draft.find(gaps["thing"])
    anchor = draft.find(gaps["anchor"])
    moved = draft.phrase(number)
    if number in (0, anchor):
        raise NotUnderstood(f"'the {moved.noun}' is what the caption begins with: say where the other thing is to be")
    target = draft.parts[anchor]
    inner = [draft.parts[k] for k in branch(draft.parts, number)][1:]
    draft.delete(number)
    _place_at(draft, New((Part((), moved), *inner)), gaps["rel"], draft.parts.index(target))
    draft.kinds.append("position")


def hold(draft: Draft, gaps: Gaps) -> None:
    """Put something into somebody's hands."""
    for reference in gaps.get("things", gaps.get("owner", ())):
        number = draft.find(reference)
        held = [part for k, part in enumerate(draft.parts) if part.lead == "holding" and draft.owner(k) == number]
        if held or not is_animate(draft.parts[number].phrase):
            hint = f"the caption says '{' '.join(held[0].words)}'" if held else "it has no hands"
            raise NotUnderstood(f"'{draft.phrase(number).text}' cannot hold more: {hint}")
        for new in gaps["new"]:
            _check_new(draft, new)
            place = _after_thing(draft, number)
            while place < len(draft.parts) and _describes(draft, place, number):
                place += 1
            draft.insert(place, _led(("holding",), new))
            draft.kinds.append("add")


def keep(draft: Draft, gaps: Gaps) -> None:
    """Leave things as they are, which they are anyway; only their names are checked."""
    for reference in gaps.get("things", ()):
        draft.find(reference)


EDITS: dict[str, Edit] = {
    "quality": quality,
    "keep": keep,
    "hold": hold,
    "material": material,
    "pose": pose,
    "remove": remove,
    "wear": wear,
    "add": add,
    "replace": replace_things,
    "transform": transform,
    "background": background,
    "when": when,
    "style": style,
    "position": position,
}


def _known(draft: Draft, new: New) -> Reference | None:
    """A reference to what is there already, where a new thing is called "the ..." and something has its name."""
    reference = Reference(new.phrase.text, new.phrase.modifiers, new.phrase.noun)
    there = any(same_noun(phrase.noun, new.phrase.noun) for _, phrase in draft.named())
    return reference if new.definite and there else None


def _check_new(draft: Draft, new: New) -> None:
    if new.phrase.noun in ("one", "ones"):
        raise NotUnderstood(f"'{new.phrase.text}' of what? Name the thing")
    if is_time(new.phrase.noun) or (draft.world is not None and draft.world.is_place(new.phrase.noun)):
        raise NotUnderstood(f"'{new.phrase.text}' is a background: say 'change the background to {new.phrase.text}'")
    if _known(draft, new) is not None:
        raise NotUnderstood(f"the caption has 'the {new.phrase.noun}' already: to add one more say 'another {new.phrase.noun}'")


def is_wearable(phrase: Phrase) -> bool:
    """Whether a thing is worn."""
    return any(same_noun(phrase.noun, noun) for noun in words("nouns", "wearable"))


def with_qualities(phrase: Phrase, said: tuple[str, ...]) -> Phrase:
    """A phrase with new qualities, each where English puts it, without those that they exclude."""
    wanted = [word for word in said if word != "and"]
    kept = phrase.modifiers
    for word in wanted:
        kept = _without_excluded(kept, word, spared=wanted)
    runs: dict[str, tuple[str, ...]] = {}
    for word in said:
        kind = _class(word, said)
        if word == "and" and (not runs or len({_class(other, said) for other in wanted}) > 1):
            continue
        runs[kind] = (*runs.get(kind, ()), word)
    for kind, run in runs.items():
        place = _rank_place(kept, kind)
        kept = (*kept[:place], *run, *kept[place:])
    return replace(phrase, modifiers=kept).agreeing()


def _set_qualities(
    draft: Draft, number: int, said: tuple[str, ...], reference: Reference, made: str | None = None
) -> None:
    old = draft.phrase(number)
    classes = list(dict.fromkeys(made or _class(word, said) for word in said if word != "and"))
    if "weather" in classes and not draft.parts[number].is_place and old.noun.lower() not in words("nouns", "sky"):
        raise NotUnderstood(f"'the {old.noun}' cannot be {' '.join(said)}; say 'change the background to ...'")
    if made:
        old = replace(old, modifiers=tuple(m for m in old.modifiers if adjective_class(m.lower()) != made))
    new = with_qualities(old, said)
    if new == draft.phrase(number):
        raise NotUnderstood(f"'the {reference.said.removeprefix('the ')}' is {' '.join(said)} already")
    draft.rewrite(number, new)
    kinds = pairs("classes", "kinds")
    draft.kinds += [_kind(kinds.get(name, "content")) for name in classes]


def _kind(name: str) -> Kind:
    found: dict[str, Kind] = {"colour": "colour", "material": "material", "content": "content"}
    return found[name]


def _class(word: str, said: tuple[str, ...]) -> str:
    """The class of a quality among those said with it: a shade is of its colour's class, "and" of its neighbour's."""
    place = said.index(word)
    following = said[place + 1] if place + 1 < len(said) else None
    if following is not None and adjective_class(following) == "colour" and word in words("adjectives", "shade"):
        return "colour"
    if word == "and":
        return _class(said[place - 1], said)
    return adjective_class(word) or "quality"


def _without_excluded(modifiers: tuple[str, ...], word: str, spared: list[str]) -> tuple[str, ...]:
    """``modifiers`` without those that ``word`` takes the place of."""
    kind = adjective_class(word) or "quality"
    single = kind in str(read_table("lexicon.toml")["classes"]["single"]).split()
    kept: list[str] = []
    for place, modifier in enumerate(modifiers):
        low = modifier.lower()
        following = modifiers[place + 1].lower() if place + 1 < len(modifiers) else ""
        shade = low in words("adjectives", "shade") and adjective_class(following) == "colour"
        own = "colour" if shade else adjective_class(low)
        if low in spared or low in opposites(word) or (single and own == kind):
            continue
        kept.append(modifier)
    while kept and kept[0] == "and":
        kept.pop(0)
    while kept and kept[-1] == "and":
        kept.pop()
    return tuple(kept)


def _rank_place(modifiers: tuple[str, ...], kind: str) -> int:
    """Where a quality of class ``kind`` goes: before the first word of a class that follows it, or of none."""
    order = str(read_table("lexicon.toml")["classes"]["order"]).split()
    for place, modifier in enumerate(modifiers):
        low = modifier.lower()
        own = adjective_class(low) or ("colour" if low in words("adjectives", "shade") or low == "and" else None)
        if own is None or order.index(own) > order.index(kind):
            return place
    return len(modifiers)


def _check_before(draft: Draft, number: int, before: tuple[str, ...] | None) -> None:
    if before is None:
        return
    phrase = draft.phrase(number)
    if not all(word in (*(m.lower() for m in phrase.modifiers), phrase.noun.lower()) for word in before):
        raise NotUnderstood(f"the caption says '{phrase.text}', not '{' '.join(before)}'")


def _check_place(draft: Draft, before: tuple[str, ...]) -> None:
    places = [draft.phrase(k) for k, part in enumerate(draft.parts) if part.is_place]
    if not any(before[-1] == phrase.noun.lower() for phrase in places):
        named = " and ".join(f"'{phrase.text}'" for phrase in places) or "no background"
        raise NotUnderstood(f"the caption has {named}, not '{' '.join(before)}', for a background")


def _express(draft: Draft, number: int, wanted: Pose) -> None:
    phrase = draft.phrase(number)
    others = frozenset(pairs("verbs", "expression").values())
    kept = tuple(word for word in phrase.modifiers if word.lower() not in others)
    new = replace(phrase, modifiers=(*wanted.words, *kept))
    if new == phrase:
        raise NotUnderstood(f"'the {phrase.noun}' is {' '.join(wanted.words)} already")
    for k in reversed(range(number + 1, len(draft.parts))):
        if draft.parts[k].pose == "expression" and draft.owner(k) == number and draft.parts[k].phrase is None:
            del draft.parts[k]
    draft.rewrite(number, new)


def _take_pose(draft: Draft, number: int, wanted: Pose) -> None:
    own = [k for k, part in enumerate(draft.parts) if part.pose == wanted.kind and draft.owner(k) == number]
    _check_shared(draft, lambda part: part.pose == wanted.kind)
    bound = [k for k in own if draft.parts[k].phrase is not None]
    if bound:
        part = draft.parts[bound[0]]
        raise NotUnderstood(f"the caption says '{' '.join(part.words)}': say 'remove the {draft.phrase(bound[0]).noun}' first")
    if own:
        if draft.parts[own[0]].joiner == wanted.words:
            raise NotUnderstood(f"'the {draft.phrase(number).noun}' is {' '.join(wanted.words)} already")
        after = draft.parts[own[0] + 1 :][:1]
        moves = wanted.words[0] in words("verbs", "moving")
        if after and after[0].lead in words("verbs", "ways") and not moves:
            raise NotUnderstood(f"'{' '.join((*wanted.words, *after[0].words))}' may make no sense: give the whole caption")
        draft.parts[own[0]] = replace(draft.parts[own[0]], joiner=wanted.words)
        return
    draft.insert(_after_thing(draft, number), [Part(wanted.words, None)])
    draft.last = draft.parts[number]


def _remove(draft: Draft, number: int) -> None:
    part = draft.parts[number]
    phrase = draft.phrase(number)
    if part.is_place:
        raise NotUnderstood(f"'the {phrase.noun}' is the background: say 'change the background to ...'")
    gone = set(branch(draft.parts, number))
    again = [
        k
        for k, other in draft.named()
        if k not in gone and (_repeats(other, phrase) or other.determiner.lower() in words("determiners", "possessives"))
    ]
    if again:
        raise NotUnderstood(f"'{' '.join(draft.parts[again[0]].words)}' would be left over: give the whole caption")
    if number == 0:
        _behead(draft)
    else:
        draft.delete(number)


def _repeats(other: Phrase, phrase: Phrase) -> bool:
    """Whether a phrase speaks of the same thing once more."""
    return same_noun(other.noun, phrase.noun) and other.determiner == "the"


def _behead(draft: Draft) -> None:
    """Take the first thing away; one beside it, or joined to it by "and", then begins the caption."""
    phrase = draft.phrase(0)
    gone = branch(draft.parts, 0)
    others = [k for k, part in enumerate(draft.parts) if part.lead == "and" and coordinate(draft.parts, k) == 0]
    if not others:
        raise NotUnderstood(
            f"without 'the {phrase.noun}' the picture has nothing to show: say what is to be there instead, such as "
            f"'replace the {phrase.noun} with a ...'"
        )
    between = [k for k in range(1, others[0]) if k not in gone]
    if between:
        raise NotUnderstood(f"what becomes of '{' '.join(draft.parts[between[0]].words)}' is not clear: give the whole caption")
    draft.parts = [replace(draft.parts[others[0]], joiner=()), *draft.parts[others[0] + 1 :]]


def _check_shared(draft: Draft, concerned: Callable[[Part], bool]) -> None:
    """Refuse to change for one what the caption says of several together."""
    for number, part in enumerate(draft.parts):
        if number and concerned(part) and not part.is_place and draft.owner(number) == SCENE and part.lead != "and":
            raise NotUnderstood(f"'{' '.join(part.words)}' is said of several things: give the whole caption")


def _dress(draft: Draft, number: int, new: New) -> None:
    _check_shared(draft, _is_worn)
    worn = [k for k, part in enumerate(draft.parts) if _is_worn(part) and draft.owner(k) == number]
    same = [k for k in worn if same_noun(draft.phrase(k).noun, new.phrase.noun)]
    if same and new.phrase.determiner != "another" and "second" not in new.phrase.modifiers:
        old = draft.phrase(same[0])
        _put_instead(draft, same[0], Reference(old.noun, (), old.noun), new, keep=False)
    elif worn:
        draft.insert(branch(draft.parts, worn[-1])[-1] + 1, _led(("and",), new))
        draft.kinds.append("add")
    else:
        draft.insert(_after_thing(draft, number), _led(WEARING, new))
        draft.kinds.append("add")


def _is_worn(part: Part) -> bool:
    return part.phrase is not None and is_wearable(part.phrase) and part.lead in ("wearing", "in", "dressed in", "and")


def _place_beside(draft: Draft, number: int, new: New) -> None:
    """Put a new thing next to a thing, or into a scene or what belongs to a thing: "with"."""
    host = draft.phrase(number)
    body = new.phrase.noun.lower() in words("nouns", "body") | words("nouns", "sky")
    holds = any(same_noun(host.noun, noun) for noun in words("nouns", "scene") | words("nouns", "surface"))
    joiner = WITH if body or holds else BESIDE
    like = [k for k, part in enumerate(draft.parts) if part.lead == " ".join(joiner) and draft.owner(k) == number]
    if like:
        siblings = [k for k in range(len(draft.parts)) if coordinate(draft.parts, k) == like[-1]]
        draft.insert(branch(draft.parts, (siblings or like)[-1])[-1] + 1, _led(("and",), new))
        return
    if host.noun.lower() in words("nouns", "sky"):
        draft.insert(len(draft.parts), _led(WITH, new))
        return
    place = _after_thing(draft, number)
    while place < len(draft.parts) and _describes(draft, place, number):
        place += 1
    draft.insert(place, _led(joiner, new))


def _describes(draft: Draft, place: int, number: int) -> bool:
    """Whether the part at ``place`` belongs to what somebody wears or has."""
    part = draft.parts[place]
    if part.is_place or part.pose or part.phrase is None:
        return False
    return part.lead in ("wearing", "with", "of", "and", "in", "dressed in", "holding") and draft.owner(place) >= number


def _place_at(draft: Draft, new: New, relation: str, anchor: int) -> None:
    """Put a new thing ``relation`` to a named one: "next to" the first thing directly, else in words of its own."""
    host = draft.phrase(anchor)
    if relation == "next to" and anchor == 0:
        _place_beside(draft, 0, new)
        return
    where = Part(tuple(relation.split()), replace(host, determiner="the", modifiers=_telling(draft, anchor)))
    joiner = ("and",) if draft.parts[-1].lead == "with" else WITH
    draft.insert(len(draft.parts), [*_led(joiner, new), where])


def _telling(draft: Draft, number: int) -> tuple[str, ...]:
    """The modifiers of a thing that are needed to tell it from others of its kind."""
    phrase = draft.phrase(number)
    alone = sum(same_noun(phrase.noun, other.noun) for _, other in draft.named()) == 1
    return () if alone else phrase.modifiers


def _led(joiner: tuple[str, ...], new: New) -> list[Part]:
    return [replace(new.parts[0], joiner=joiner), *new.parts[1:]]


def _after_thing(draft: Draft, number: int) -> int:
    """The number behind a thing and its "of ..."."""
    place = number + 1
    while place < len(draft.parts) and draft.parts[place].lead == "of":
        place += 1
    return place


def _exchange(draft: Draft, gaps: Gaps, *, keep: bool) -> None:
    news: tuple[New, ...] = gaps["new"]
    if len(news) != 1:
        raise NotUnderstood("one thing at a time can take the place of another: say the second in a sentence of its own")
    for reference in gaps["things"]:
        number = draft.find(reference)
        _check_before(draft, number, gaps.get("from"))
        if draft.parts[number].is_place:
            _set_place(draft, Place(None, news[0].phrase))
        else:
            _put_instead(draft, number, reference, news[0], keep=keep)


def _put_instead(draft: Draft, number: int, reference: Reference, new: New, *, keep: bool) -> None:
    old = draft.phrase(number)
    if new.phrase.noun in ("one", "ones"):
        new, keep = replace(new, parts=(Part((), replace(new.phrase, noun=old.noun)), *new.parts[1:])), True
    phrase = _heir(old, new.phrase, keep=keep)
    phrase = phrase if draft.world is None else with_colour(phrase, old)
    same = same_noun(old.noun, phrase.noun)
    changed = [m for m in phrase.modifiers if m not in old.modifiers and m != "and"]
    named_too = reference.beside is not None and reference.beside[0] == "of"
    following = number + 1
    tail = following < len(draft.parts) and draft.parts[following].lead == "of"
    if phrase == old and len(new.parts) == 1 and not named_too:
        raise NotUnderstood(f"the caption says '{old.text}' already")
    if tail and (named_too or any(part.lead == "of" for part in new.parts[1:])):
        draft.delete(following)
    if len(new.parts) > 1 and any(_is_worn(part) or part.lead == "with" for part in new.parts) and len(branch(draft.parts, number)) > 1:
        raise NotUnderstood(f"what becomes of '{' '.join(draft.parts[following].words)}' is not clear: give the whole caption")
    if len(new.parts) > 1:
        draft.insert(following, new.parts[1:])
    draft.rewrite(number, phrase)
    kinds = pairs("classes", "kinds")
    said = tuple(changed)
    draft.kinds += [_kind(kinds[_class(word, said)]) for word in changed] if same and changed else ["object"]


def _heir(old: Phrase, new: Phrase, *, keep: bool) -> Phrase:
    """The new thing with what it takes over: the number of "two dogs", and qualities if it keeps any."""
    counted = old.determiner.lower() in words("determiners", "plural")
    if counted and not new.determiner and is_plural(new.noun):
        new = replace(new, determiner=old.determiner)
    if not keep:
        return new
    own = {_class(word, new.modifiers) for word in new.modifiers}
    kept = tuple(
        word
        for word in old.modifiers
        if word == "and" or (is_adjective(word.lower()) and _class(word.lower(), _lower(old.modifiers)) not in own)
    )
    while kept and kept[0] == "and":
        kept = kept[1:]
    while kept and kept[-1] == "and":
        kept = kept[:-1]
    modifiers = new.modifiers
    for word in kept:
        kind = _class(word.lower(), _lower(old.modifiers))
        place = _rank_place(modifiers, kind)
        modifiers = (*modifiers[:place], word, *modifiers[place:])
    determiner = new.determiner or indefinite((*modifiers, new.noun)[0], new.noun)
    return replace(new, determiner=determiner, modifiers=modifiers).agreeing()


def _lower(said: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.lower() for word in said)


def _set_place(draft: Draft, place: Place) -> None:
    lead = place.preposition or preposition(place.phrase.noun) or "in"
    phrase = place.phrase
    if phrase.noun.lower() == "snow" and not phrase.determiner:
        phrase = replace(phrase, determiner="the")
    known = preposition(phrase.noun)
    if known in ("at",) and phrase.determiner in ("a", "an", "the") and not phrase.modifiers:
        phrase = replace(phrase, determiner="")
    new = Part(tuple(lead.split()), phrase)
    if draft.world is not None:
        new = draft.world.place(new)
    replaced = draft.replaced_places(new)
    if any(draft.parts[k] == new for k in replaced):
        raise NotUnderstood(f"the caption says '{' '.join(new.words)}' already")
    if replaced:
        replaced += [k for number in replaced for k in branch(draft.parts, number)[1:]]
        draft.parts[replaced[0]] = replace(new, origin=draft.parts[replaced[0]].origin)
        draft.parts = [part for k, part in enumerate(draft.parts) if k not in replaced[1:]]
    else:
        draft.parts.append(new)
    draft.kinds.append("background")

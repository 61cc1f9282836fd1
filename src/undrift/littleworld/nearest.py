"""What comes nearest, in the drawn world, to a word that its captions do not have."""

from __future__ import annotations

_AKIN = {
    "red": "crimson maroon scarlet burgundy ruby",
    "orange": "brown amber bronze copper tan ginger",
    "yellow": "gold golden blonde lemon",
    "green": "olive lime emerald mint",
    "blue": "navy turquoise cyan azure teal",
    "purple": "violet indigo lilac lavender magenta mauve",
    "pink": "salmon coral fuchsia peach",
    "white": "gray grey silver beige ivory cream",
    "night": "dark darkness evening midnight dusk moonlight starry",
    "meadow": "forest woods park garden field grass lawn countryside spring hill hills farm",
    "beach": "sea ocean shore coast seaside sand island lake",
    "snow": "winter ice snowy arctic frost",
    "city": "town street streets village downtown",
    "desert": "dunes sahara canyon",
    "cat": "kitten kitty lion tiger",
    "dog": "puppy wolf fox",
    "bird": "parrot duck chicken owl eagle",
    "robot": "android",
    "car": "truck van bus taxi",
    "house": "cottage hut castle cabin",
    "boat": "ship yacht canoe",
    "tree": "bush palm oak",
    "flower": "rose tulip daisy sunflower",
    "gift": "present parcel box",
    "hat": "cap beanie helmet",
    "crown": "tiara",
    "glasses": "sunglasses goggles spectacles",
    "scarf": "shawl tie",
    "striped": "stripy stripes",
    "dotted": "spotted dots spots",
    "checked": "checkered chequered plaid tartan",
    "sitting": "seated crouching kneeling lying sleeping",
    "jumping": "leaping flying hopping dancing running",
    "pencil": "sketch charcoal ink crayon",
    "neon": "glowing luminous",
}
"""Words of LittleWorld's captions, each with words of the open world that are best said by it."""
_NEAREST = {word: known for known, words in _AKIN.items() for word in words.split()}


def nearest_word(word: str) -> str | None:
    """The word of LittleWorld's captions to type instead: "white" for "gray"; None if none comes near."""
    return _NEAREST.get(word.lower())

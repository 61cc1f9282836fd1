"""LittleWorld: a drawn world of captioned scenes in which the right answer to every edit is known."""

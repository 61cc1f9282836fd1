"""The benchmark: any set of methods over sequences of edits, scored turn by turn.

A *suite* yields *cases* (sequences of turns), the *runner* has methods do them and keeps one record and one picture
per turn in a *run folder*, *metrics* score the turns, and the *report* reads run folders.
"""

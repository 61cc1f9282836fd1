"""Making and scoring the turns of a run: what to do, doing it here or on a Ray cluster, going on where it stopped."""

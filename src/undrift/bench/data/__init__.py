"""The files that other people's benchmarks come in, read and where undrift makes them also written."""

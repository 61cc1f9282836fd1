"""Adds a method, a model family, a suite, a metric and a command to undrift."""

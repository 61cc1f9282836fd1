"""Runs judged by a model that sees pictures, where nobody knows the right ones."""

"""Writes multi-turn prompts for PIE-Bench: from templates, or with a language model."""

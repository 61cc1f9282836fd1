"""The layouts that people hold models in: those that load, and those that are refused with a line."""

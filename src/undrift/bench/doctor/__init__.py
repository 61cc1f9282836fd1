"""Looks at a folder of data, and says all that is wrong with it and how to put it right."""

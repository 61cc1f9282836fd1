"""What libraries may say: nothing but undrift's own warnings, unless --debug."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from undrift.cli.output import say
from undrift.cli.text import line

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}

LOADED = ("torchao", "torch.utils._pytree")
"""Loggers that tell of what is absent or old on this machine when torchao is loaded, which diffusers does unasked."""


class _Line(logging.Handler):
    """One line on stderr per record."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {line(record.getMessage())}", err=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Show undrift's warnings on stderr and silence the libraries'; enter it before they are loaded."""
    logger, handler = logging.getLogger("undrift"), _Line()
    logger.addHandler(handler)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    before = {name: logging.getLogger(name).level for name in LOADED}
    for name in LOADED:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        logger.setLevel(logging.NOTSET)


def loud() -> None:
    """Show everything that undrift and the libraries have to say."""
    logging.getLogger("undrift").setLevel(logging.DEBUG)
    for name in LOADED:
        logging.getLogger(name).setLevel(logging.NOTSET)
    warnings.resetwarnings()
    for name in QUIET:
        os.environ.pop(name, None)

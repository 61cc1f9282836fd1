"""A language model behind any address that speaks OpenAI's chat completions."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from undrift.errors import InputError, UndriftError
from undrift.from_json import from_json

Messages = Sequence[Mapping[str, str]]

LONGEST_PAUSE = 60.0
LARGEST_ANSWER = 1_000_000
_TEMPORARY = frozenset({408, 409, 425, 429})


class ChatError(UndriftError):
    """No usable answer came, after all retries; the next one may."""


@dataclass(frozen=True)
class Chat:
    """One model at one address.

    Attributes:
        url: up to and without ``/chat/completions``, such as "http://localhost:8000/v1".
        model: its name there.
        key: sent as a bearer token, if there is one.
        timeout: seconds without any byte before a request counts as hanging.
        retries: further requests after one that failed for a passing reason (429, 5xx, a hanging or cut connection,
            no chat completion in the answer).
        pause: seconds before the first retry, doubled each time; a Retry-After header is obeyed instead.
    """

    url: str
    model: str
    key: str | None = None
    timeout: float = 120.0
    retries: int = 4
    pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"'{self.url}' is no address of a model; expected one such as http://localhost:8000/v1")
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise InputError(
                "the key of the model has characters that cannot be sent; set it again without line breaks"
            )

    def ask(self, messages: Messages, seed: int) -> str:
        """The model's answer.

        Raises:
            InputError: the server refuses the request itself (key, model, address).
            ChatError: no usable answer after all retries.
        """
        body = {"model": self.model, "messages": list(messages), "seed": seed}
        for attempt in range(self.retries + 1):
            try:
                return _content(self._post(body))
            except urllib.error.HTTPError as error:
                with error:
                    said, wait = self._refusal(error), _seconds(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                said, wait = f"no answer from {self.url}: {_why(error)}", None
            except ValueError as error:
                said, wait = f"{self.url} answers with {error}", None
            if attempt < self.retries:
                self.sleep(min(LONGEST_PAUSE, self.pause * 2**attempt if wait is None else wait))
        raise ChatError(f"{said}, {self.retries + 1} times")

    def _post(self, body: Mapping[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "undrift"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            data: bytes = answer.read(LARGEST_ANSWER)
            return data

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        """What a passing failure says.

        Raises:
            InputError: it will not pass.
        """
        said = f"{self.url} answers {error.code} {error.reason}"
        if error.code < 500 and error.code not in _TEMPORARY:
            detail = " ".join(error.read(300).decode(errors="replace").split())
            raise InputError(f"{said} ({detail}); check --llm, --llm-model and the key") from None
        return said


def _content(data: bytes) -> str:
    try:
        content = from_json(data)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ValueError("no chat completion") from None
    if not isinstance(content, str):
        raise ValueError("no text")
    return content


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.strip().isdigit() else None


def _why(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return "it hangs" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__

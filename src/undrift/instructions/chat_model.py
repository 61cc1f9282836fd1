"""A language model behind any address that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from undrift.errors import InputError
from undrift.from_json import from_json
from undrift.instructions.exchange import NoAnswer

TIMEOUT = 60.0
"""Seconds for a whole answer."""

LARGEST_ANSWER = 256 * 1024
"""Bytes of a response; an answer has some hundred."""

MOST_TOKENS = 1000
KEY_VARIABLES = ("UNDRIFT_LLM_KEY", "OPENAI_API_KEY")
"""Where the key is read from; the first that is set."""


PASSING = frozenset({408, 409, 425, 429})
"""Statuses that pass by themselves, as those from 500 on do."""


@dataclass(frozen=True)
class Patience:
    """How often a server that is busy, or answers with no chat completion, is asked again.

    Attributes:
        retries: further requests.
        pause: seconds before the first, doubled each time; a Retry-After header is obeyed instead.
        longest: seconds of the longest pause.
        hanging: whether a server that does not answer in time, or cannot be reached, is asked again as well.
    """

    retries: int = 0
    pause: float = 1.0
    longest: float = 60.0
    hanging: bool = False


SOMEBODY_WAITS = Patience(retries=1, pause=0.5, longest=5.0)
NOBODY_WAITS = Patience(retries=4, hanging=True)


Messages = Sequence[tuple[str, object]]
"""Who speaks, and what: text, or for models that see pictures a list of parts as the server takes them."""


@dataclass(frozen=True)
class Spent:
    """What was asked of a model so far.

    Attributes:
        requests: all, those that failed included.
        read, written: tokens, as far as the server says.
    """

    requests: int = 0
    read: int = 0
    written: int = 0


class _Passing(NoAnswer):
    """No answer this time.

    Attributes:
        wait: seconds after which the server wants to be asked again; None if it does not say.
        hung: whether it did not answer at all.
    """

    def __init__(self, why: str, wait: float | None = None, *, hung: bool = False) -> None:
        super().__init__(why)
        self.wait, self.hung = wait, hung


class ChatModel:
    """One model at one address.

    Args:
        url: up to and without ``/chat/completions``, such as "http://localhost:8000/v1".
        name: what the model is called there.
        key: sent as a bearer token, if there is one; never recorded and in no message.
        timeout: seconds for a whole answer.
        patience: how often it is asked again.

    Raises:
        InputError: no such address, a key that cannot be sent, or the ``openai`` package is not installed.
    """

    def __init__(
        self,
        url: str,
        name: str,
        key: str | None = None,
        timeout: float = TIMEOUT,
        patience: Patience = Patience(),  # frozen
    ) -> None:
        _check_address(url)
        if key and not (key.isascii() and key.isprintable()):
            raise InputError("the key of --llm has characters that cannot be sent: set it without line breaks")
        try:
            import httpx2
            import openai
        except ImportError:
            raise InputError("--llm needs the openai package: pip install 'undrift[llm]'") from None
        self.name = name
        self.spent = Spent()
        self._counting = threading.Lock()
        self._timeout, self._patience = timeout, patience
        self._late = (openai.APITimeoutError, httpx2.TimeoutException)
        self._refused = openai.APIStatusError
        self._failed = (openai.OpenAIError, httpx2.HTTPError)
        # Redirects are not followed: what is said goes to the address that was named, and to no other.
        http = openai.DefaultHttpxClient(follow_redirects=False)
        self._client = openai.OpenAI(
            base_url=url, api_key=key or "none", max_retries=0, timeout=timeout, http_client=http
        )
        self._client.organization = self._client.project = None  # of the environment, and of another address

    def answer(self, messages: Messages, schema: dict[str, Any] | None, seed: int = 0) -> str:
        """The text of the answer to ``messages``.

        Raises:
            NoAnswer: the model cannot be reached, takes too long, refuses, or answers something else than text, also
                after as many further requests as there is patience for.
        """
        for left in range(self._patience.retries, -1, -1):
            try:
                self._count(requests=1)
                data = self._answered(messages, schema, seed)
                self._count(*_tokens(data))
                return _text(data)
            except _Passing as why:
                if not left or (why.hung and not self._patience.hanging):
                    raise
                usual = self._patience.pause * 2 ** (self._patience.retries - left)
                time.sleep(min(self._patience.longest, usual if why.wait is None else why.wait))
        raise AssertionError("the last request returns or raises")

    def _count(self, read: int = 0, written: int = 0, requests: int = 0) -> None:
        with self._counting:
            now = self.spent
            self.spent = replace(
                now, requests=now.requests + requests, read=now.read + read, written=now.written + written
            )

    def _answered(self, messages: Messages, schema: dict[str, Any] | None, seed: int) -> bytes:
        """The body of one response."""
        try:
            return self._response(messages, schema, seed)
        except self._late:
            raise _Passing(f"no answer within {self._timeout:g} s", hung=True) from None
        except self._refused as error:
            said = (error.body if isinstance(error.body, str) else error.message).replace(self._client.api_key, "...")
            raise _refusal(error.status_code, error.response.headers.get("retry-after"), said) from None
        except self._failed as error:
            raise _Passing(f"it cannot be reached ({error.__cause__ or error})", hung=True) from None

    def _response(self, messages: Messages, schema: dict[str, Any] | None, seed: int) -> bytes:
        """The body of a response, read as far as an answer may go and no longer than the time allows."""
        until = time.monotonic() + self._timeout
        said: Any = [{"role": role, "content": text} for role, text in messages]
        more: Any = {"seed": seed} if schema is None else {"temperature": 0, "max_tokens": MOST_TOKENS}
        if schema is not None:
            shape = {"name": "reading", "strict": True, "schema": schema}
            more["response_format"] = {"type": "json_schema", "json_schema": shape}
        asked = self._client.chat.completions.with_streaming_response.create(model=self.name, messages=said, **more)
        data = b""
        with asked as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    raise NoAnswer(f"its answer has more than {LARGEST_ANSWER // 1024} KB")
                if time.monotonic() > until:
                    raise _Passing(f"no whole answer within {self._timeout:g} s", hung=True)
        return data


def chat_model(url: str | None, name: str | None) -> ChatModel | None:
    """The model that ``--llm`` and ``--llm-model`` name, with the key of the environment; None if neither is given.

    Raises:
        InputError: only one of them is, or as for ``ChatModel``.
    """
    if (url is None) != (name is None):
        raise InputError("--llm and --llm-model belong together: the address of a language model, and its name there")
    if url is None or name is None:
        return None
    return ChatModel(url, name, key_of_environment(), patience=SOMEBODY_WAITS)


def key_of_environment() -> str | None:
    """The first of ``KEY_VARIABLES`` that is set."""
    return next((value for variable in KEY_VARIABLES if (value := os.environ.get(variable, "").strip())), None)


def _refusal(status: int, wait: str | None, said: str) -> NoAnswer:
    """What a status means that is no success."""
    told = f"its server answers {status}"
    if status >= 500 or status in PASSING:
        return _Passing(told, float(wait) if wait and wait.strip().isdigit() else None)
    detail = " ".join(said.split())[:300]
    return NoAnswer(f"{told} ({detail}): check --llm, --llm-model and the key", final=True)


def _check_address(url: str) -> None:
    example = "expected one such as http://localhost:8000/v1"
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InputError(f"--llm '{url}' is no address of a language model; {example}")
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(f"--llm takes an address alone, {example}; the key goes into ${KEY_VARIABLES[0]}")


def _tokens(data: bytes) -> tuple[int, int]:
    """Tokens read and written, 0 where a response does not say."""
    try:
        usage = from_json(data)["usage"]
        return max(0, int(usage["prompt_tokens"])), max(0, int(usage["completion_tokens"]))
    except (ValueError, KeyError, TypeError):
        return 0, 0


def _text(data: bytes) -> str:
    try:
        choice = from_json(data)["choices"][0]
        message = choice["message"]
        refusal, content = message.get("refusal"), message.get("content")
        ended = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise _Passing("its server answers with no chat completion") from None
    if refusal or ended == "content_filter":
        raise NoAnswer("it refuses")
    if ended == "length":
        raise NoAnswer("its answer is too long")
    if not isinstance(content, str):
        raise _Passing("its server answers with no text")
    return content

"""A language model behind any address that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from undrift.errors import InputError
from undrift.from_json import from_json
from undrift.instructions.exchange import Message, NoAnswer

TIMEOUT = 60.0
"""Seconds for a whole answer."""

LARGEST_ANSWER = 256 * 1024
"""Bytes of a response; an answer has some hundred."""

MOST_TOKENS = 1000
KEY_VARIABLES = ("UNDRIFT_LLM_KEY", "OPENAI_API_KEY")
"""Where the key is read from; the first that is set."""


class ChatModel:
    """One model at one address.

    Args:
        url: up to and without ``/chat/completions``, such as "http://localhost:8000/v1".
        name: what the model is called there.
        key: sent as a bearer token, if there is one; never recorded and in no message.
        timeout: seconds for a whole answer.

    Raises:
        InputError: no such address, a key that cannot be sent, or the ``openai`` package is not installed.
    """

    def __init__(self, url: str, name: str, key: str | None = None, timeout: float = TIMEOUT) -> None:
        _check_address(url)
        if key and not (key.isascii() and key.isprintable()):
            raise InputError("the key of --llm has characters that cannot be sent: set it without line breaks")
        try:
            import httpx2
            import openai
        except ImportError:
            raise InputError("--llm needs the openai package: pip install 'undrift[llm]'") from None
        self.name = name
        self._timeout = timeout
        self._late = (openai.APITimeoutError, httpx2.TimeoutException)
        self._refused = openai.APIStatusError
        self._failed = (openai.OpenAIError, httpx2.HTTPError)
        # Redirects are not followed: what is said goes to the address that was named, and to no other.
        http = openai.DefaultHttpxClient(follow_redirects=False)
        self._client = openai.OpenAI(
            base_url=url, api_key=key or "none", max_retries=0, timeout=timeout, http_client=http
        )
        self._client.organization = self._client.project = None  # of the environment, and of another address

    def answer(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        """The text of the answer to ``messages``.

        Raises:
            NoAnswer: the model cannot be reached, takes too long, refuses, or answers something else than text.
        """
        try:
            data = self._response(messages, schema)
        except self._late:
            raise NoAnswer(f"no answer within {self._timeout:g} s") from None
        except self._refused as error:
            raise NoAnswer(f"its server answers {error.status_code}: check --llm, --llm-model and the key") from None
        except self._failed as error:
            raise NoAnswer(f"it cannot be reached ({error.__cause__ or error})") from None
        return _text(data)

    def _response(self, messages: Sequence[Message], schema: dict[str, Any]) -> bytes:
        """The body of the response, read as far as an answer may go and no longer than the time allows."""
        until = time.monotonic() + self._timeout
        said: Any = [{"role": role, "content": text} for role, text in messages]
        shape: Any = {
            "type": "json_schema",
            "json_schema": {"name": "reading", "strict": True, "schema": schema},
        }
        asked = self._client.chat.completions.with_streaming_response.create(
            model=self.name, messages=said, response_format=shape, temperature=0, max_tokens=MOST_TOKENS
        )
        data = b""
        with asked as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    raise NoAnswer(f"its answer has more than {LARGEST_ANSWER // 1024} KB")
                if time.monotonic() > until:
                    raise NoAnswer(f"no whole answer within {self._timeout:g} s")
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
    key = next((value for variable in KEY_VARIABLES if (value := os.environ.get(variable, "").strip())), None)
    return ChatModel(url, name, key)


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


def _text(data: bytes) -> str:
    try:
        choice = from_json(data)["choices"][0]
        message = choice["message"]
        refusal, content = message.get("refusal"), message.get("content")
        ended = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NoAnswer("its server answers with no chat completion") from None
    if refusal or ended == "content_filter":
        raise NoAnswer("it refuses")
    if ended == "length":
        raise NoAnswer("its answer is too long")
    if not isinstance(content, str):
        raise NoAnswer("its server answers with no text")
    return content

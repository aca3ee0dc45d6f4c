"""The package's one door to the outside: a request goes out, and only a complete answer comes in.

prometheus-api-client makes the requests. Its own retries are off (they are
hidden, three by default) and a timeout is set (there is none by default); one
retry follows here, for connections that fail. What it would pass over is seen by
a hook on its session: warnings, partial answers, errors in Prometheus' own words,
and a clock that is not ours: we ask about our "now", and would get another time's
counters for it.
"""

import base64
import datetime as dt
import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import tenacity
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ReadTimeoutError
from urllib3.util import Retry

from analysis.samples import NoNumberError
from analysis.span import Span, When
from config.access import Access


PAUSE = 0.2
"""Seconds before the one retry."""
MOST_BYTES = 64 * 2**20
"""Of one answer."""
MOST_APART = dt.timedelta(seconds=30)
"""Between Prometheus' clock and ours."""

_REFUSALS = {400, 422}
_PASSING = {502, 503, 504}
_LONGEST_REASON = 300
_SHORTEST_SECRET = 4
_TOKEN = re.compile(r"[\x21-\x7e]+")


class UnansweredError(Exception):
    """Prometheus could not be asked, or gave no answer that can be relied on."""


class NoConnectionError(UnansweredError):
    """Nobody was there; asking once more may help."""


class RefusedError(Exception):
    """Prometheus refuses this very expression; the message is its own."""

    def __init__(self, message: str, *, final: bool = True) -> None:
        super().__init__(message)
        self.final = final
        """No later answer can be another one."""


class Connection:
    """One Prometheus, or whatever speaks its query API.

    Args:
        url: Without the path of the API. Credentials in it are used, and never shown.
        access: Who we are, and whom we trust.
        timeout: Of one question, its retry included.
        on_request: Called after every request with `answered`, `refused` or `failed`.
        now: The clock that questions are asked by.

    """

    def __init__(
        self,
        url: str,
        access: Access,
        timeout: dt.timedelta,
        on_request: Callable[[str], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.seconds = timeout.total_seconds()
        parts = urlsplit(url.rstrip("/"))
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        self.shown = bare._replace(query="", fragment="").geturl()
        self._on_request = on_request
        self._session = _Session(_Credentials(access, parts.username, parts.password), access, now)
        self._client = PrometheusConnect(
            url=bare.geturl(), retry=Retry(total=0), session=self._session, method="POST"
        )

    def ask(self, expression: str, when: When[Any], deadline: float) -> object:
        """Give the `result` of a complete answer; `deadline` is in `time.monotonic`.

        Raises:
            RefusedError: the expression is at fault.
            NoNumberError: the expression gives something else than one number per series.
            UnansweredError: anything else that is not a complete answer.

        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoConnectionError),
            stop=tenacity.stop_after_attempt(2) | tenacity.stop_before_delay(deadline - time.monotonic()),
            wait=tenacity.wait_fixed(PAUSE),
            reraise=True,
        )
        result: object = retrying(self._once, expression, when, deadline)
        return result

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _once(self, expression: str, when: When[Any], deadline: float) -> object:
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._too_slow()
        outcome = "failed"
        form = {**when.form(), "timeout": f"{left * 1000:.0f}ms"}
        try:
            if isinstance(when, Span):
                first, last = when.instants[0], when.instants[-1]
                result = self._client.custom_query_range(expression, first, last, form["step"], form, left)
            else:
                result = self._client.custom_query(expression, form, left)
            outcome = "answered"
            return result
        except (RefusedError, NoNumberError):
            outcome = "refused"
            raise
        except TimeoutError as error:
            raise self._too_slow() from error
        except requests.exceptions.RequestException as error:
            raise self._unanswered(error) from None  # it holds the request with its headers
        except (OSError, HTTPError) as error:
            raise UnansweredError(f"cannot be asked ({self._session.words(str(error))})") from None
        finally:
            self._on_request(outcome)

    def _too_slow(self) -> UnansweredError:
        return UnansweredError(f"took longer than {self.seconds:g}s")

    def _unanswered(self, error: requests.exceptions.RequestException) -> UnansweredError:
        cause = error.args[0] if error.args else error
        if isinstance(error, requests.exceptions.Timeout) or isinstance(cause, ReadTimeoutError):
            return self._too_slow()
        words = str(getattr(cause, "reason", cause))
        if isinstance(error, requests.exceptions.SSLError):
            return UnansweredError(f"cannot be trusted ({self._session.words(_of_tls(words))})")
        if isinstance(error, requests.exceptions.ConnectionError):
            words = self._session.words(words.rpartition(": ")[2])  # before are addresses
            return NoConnectionError(f"cannot be reached ({words})")
        return UnansweredError(f"broke off ({type(error).__name__})")


class _Credentials(AuthBase):
    """Signs each request; without credentials too, so that no ~/.netrc is looked into."""

    def __init__(self, access: Access, username: str | None, password: str | None) -> None:
        self._access = access
        self._username = access.username if username is None else unquote(username)
        self._password = access.password if password is None else unquote(password)
        self._known: set[str] = set()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header `Authorization`, from files as they are now.

        Raises:
            UnansweredError: a file cannot be read, or holds no token.

        """
        access = self._access
        if self._username is not None:
            password = _read(access.password_file, "password") if access.password_file else self._password
            pair = f"{self._username}:{password or ''}".encode()
            encoded = base64.b64encode(pair).decode()
            request.headers["Authorization"] = f"Basic {encoded}"
            self._known |= {encoded, password or ""}
        token = _read(access.token_file, "bearer token") if access.token_file else access.token
        if token is not None:
            if not _TOKEN.fullmatch(token):
                raise UnansweredError("is not asked: the bearer token is not one (letters, digits, signs)")
            request.headers["Authorization"] = f"Bearer {token}"
            self._known.add(token)
        return request

    def hidden(self, words: str) -> str:
        """Strike out what must not be shown, should a server repeat it."""
        secrets = {*self._known, *self._access.headers.values()}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                words = words.replace(secret, "***")
        return words


class _Session(requests.Session):
    """Sends parameters as a form, since joined queries are too long for a URL, and checks the answers."""

    def __init__(self, credentials: _Credentials, access: Access, now: Callable[[], dt.datetime]) -> None:
        super().__init__()
        self._now = now
        self.hooks["response"] = [self._check]
        self.stream = True  # the body is read by _check, which knows the time that is left
        self.auth = self._credentials = credentials
        self.verify = access.verify and (access.ca_file or True)
        if not access.verify:
            urllib3.disable_warnings(InsecureRequestWarning)  # at every request; it is what was wished
        if access.cert_file:
            self.cert = (access.cert_file, access.key_file) if access.key_file else access.cert_file
        self.headers.update(access.headers)
        self._files = [file for file in (access.ca_file, access.cert_file, access.key_file) if file]

    def words(self, text: str) -> str:
        """Make a server's words fit to be shown: no secrets, not too long."""
        return self._credentials.hidden(text)[:_LONGEST_REASON]

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Move the parameters from the URL into the body.

        Raises:
            RefusedError: the expression cannot even be sent.
            UnansweredError: a credential or a certificate cannot be read.

        """
        try:
            for file in self._files:
                Path(file).stat()  # they are read for each connection, but what is missing is not named then
        except OSError as error:
            raise UnansweredError(f"is not asked: {error.filename}: {error.strerror}") from error
        request.data, request.params = request.params, {}
        try:
            return super().prepare_request(request)
        except UnicodeEncodeError as error:
            raise RefusedError(f"it is not text ({error.reason})") from error

    def _check(self, response: requests.Response, **options: Any) -> None:  # noqa: ANN401  # requests' own
        """Let only complete answers pass.

        Raises:
            RefusedError: the expression is at fault.
            NoNumberError: the expression gives something else than one number per series.
            NoConnectionError: nobody is there at the moment.
            UnansweredError: anything else that is not a complete answer.
            TimeoutError: it takes too long.

        """
        apart = _apart(response, self._now())
        status, body = response.status_code, _body(response, options["timeout"])
        if status in _REFUSALS and body.get("status") == "error":
            said = str(body.get("error")).removeprefix('invalid parameter "query": ')
            raise RefusedError(self.words(said), final=status == 400)
        if status in _PASSING and not body:
            raise NoConnectionError(f"gave status {status}")
        if 300 <= status < 400:
            raise UnansweredError(
                f"gave status {status}: it points to {_origin(response)}, which is not asked"
            )
        if status != 200 or body.get("status") != "success":
            said = str(body.get("error") or "and something that Prometheus does not say")
            raise UnansweredError(f"gave status {status}: {self.words(said)}")
        for warning in _warnings(body):
            if warning.startswith("PromQL warning"):
                raise RefusedError(self.words(warning))
            if not warning.startswith("PromQL info"):
                raise UnansweredError(f"gave a partial answer: {self.words(warning)}")
        data = body.get("data")
        if not isinstance(data, dict) or "result" not in data:
            raise UnansweredError(f"gave status {status} without a result")
        wanted = {"matrix"} if str(response.url).endswith("/query_range") else {"vector", "scalar"}
        if (kind := data.get("resultType")) not in wanted:
            raise NoNumberError(f"it gives a {kind}; one number per series is needed")
        if apart:
            raise UnansweredError(apart)


def _apart(response: requests.Response, now: dt.datetime) -> str:
    """Say how far its clock is from ours, if that is too far; a server that does not tell is believed.

    `now` is when the headers arrived: they were written at some time since the request was sent.
    """
    try:
        there = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return ""
    if there.tzinfo is None:  # as it is for -0000
        there = there.replace(tzinfo=dt.UTC)
    if now - response.elapsed - MOST_APART <= there <= now + MOST_APART:
        return ""
    which = "behind" if there < now else "ahead of"
    seconds = abs((there - now).total_seconds())
    return f"has a clock {seconds:.0f}s {which} ours ({now:%H:%M:%S} UTC here): one of them must be set"


def _warnings(body: Mapping[str, Any]) -> Iterator[str]:
    """Give Prometheus' warnings, Thanos' (inside of the data), and VictoriaMetrics' flag."""
    data = body.get("data")
    for place in (body, data if isinstance(data, dict) else {}):
        found = place.get("warnings") or []
        yield from map(str, found if isinstance(found, list) else [found])
    if body.get("isPartial"):
        yield "a part of the storage did not answer"


def _body(response: requests.Response, seconds: float) -> dict[str, Any]:
    """Read the body in the time that is left; empty if it is no JSON object."""
    deadline = time.monotonic() + seconds - response.elapsed.total_seconds()
    try:
        content = b"".join(_pieces(response, deadline))
    except ReadTimeoutError as error:
        raise TimeoutError from error
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError from error
    except BaseException:
        response.close()
        raise
    response._content = content  # noqa: SLF001  # where a hook that reads the body has to leave it
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _pieces(response: requests.Response, deadline: float) -> Iterator[bytes]:
    total = 0
    while piece := response.raw.read1(2**16, decode_content=True):
        total += len(piece)
        if time.monotonic() > deadline:
            raise TimeoutError
        if total > MOST_BYTES:
            raise UnansweredError(f"gave more than {MOST_BYTES // 2**20} MiB")
        yield piece


def _origin(response: requests.Response) -> str:
    parts = urlsplit(response.headers.get("Location", ""))
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}"[:_LONGEST_REASON] if host else "another path"


def _of_tls(words: str) -> str:
    """Take OpenSSL's words out of Python's: `SSLError(1, '[SSL: X] this is wrong (_ssl.c:1)')`."""
    found = re.search(r"\] (.*?)(?: \(_ssl\.c:\d+\))?['\"]?,?\)*$", words)
    return found[1] if found else words


def _read(file: str, what: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnansweredError(f"is not asked: {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnansweredError(f"is not asked: {file} is not text") from error
    if not text:
        raise UnansweredError(f"is not asked: {file} is empty; it should hold the {what}")
    return text

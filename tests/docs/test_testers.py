"""The worked example of testers by the claims of a token: what a rollout makes of it."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from config.load import load_canaries
from controller.gloo.destinations import Target
from controller.gloo.routes import patch
from controller.rollout.moves import Form
from sandbox.apiserver.merging import json_patch
from schemas import violations


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testers.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def virtual_service() -> dict[str, Any]:
    (text,) = (block for block in BLOCKS if "kind: VirtualService\nmetadata" in block)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_the_testing_route_asks_for_the_header_of_the_claim_and_no_option_is_touched() -> None:
    before = virtual_service()
    (canary,) = load_canaries("---\n".join(block for block in BLOCKS if "kind: Canary" in block))
    upstream, testing = canary.spec.upstream, canary.spec.testing
    assert testing is not None
    target = Target(upstream.name, upstream.namespace, canary.spec.workload.version_label)
    form = Form("v1", "v2", testing=testing.match)
    after = json_patch(before, list(patch(before, target, form)))
    (provider,) = before["spec"]["virtualHost"]["options"]["jwt"]["providers"].values()
    (copied,) = provider["claimsToHeaders"]
    tester, main = after["spec"]["virtualHost"]["routes"]
    assert tester["matchers"] == [{"prefix": "/", "headers": [{"name": copied["header"], "value": "beta"}]}]
    assert main["matchers"] == [{"prefix": "/"}]
    assert after["spec"]["virtualHost"]["options"] == before["spec"]["virtualHost"]["options"]


def test_the_header_is_taken_away_before_the_filter_writes_it() -> None:
    options = virtual_service()["spec"]["virtualHost"]["options"]
    (early,) = options["stagedTransformations"]["early"]["requestTransforms"]
    (provider,) = options["jwt"]["providers"].values()
    (copied,) = provider["claimsToHeaders"]
    removed = early["requestTransformation"]["transformationTemplate"]["headersToRemove"]
    assert (early["clearRouteCache"], removed, copied["append"]) == (True, [copied["header"]], False)


def test_gloos_schema_knows_every_field() -> None:
    assert violations(virtual_service()) == Counter()

"""The worked example of testers by the claims of a token: what a rollout makes of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from config.load import load_canaries
from controller.gloo.destinations import Target
from controller.gloo.routes import patch
from controller.rollout.moves import Form
from sandbox.apiserver.merging import json_patch


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testers.md").read_text()
CRD = ROOT.parent / "shared" / "gloo-crds" / "gateway.solo.io_v1_VirtualService.yaml"
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


@pytest.mark.skipif(not CRD.exists(), reason="Gloo's own schema is not at hand")
def test_gloos_own_schema_knows_every_field() -> None:
    definition = yaml.load(CRD.read_text(), Loader=yaml.CSafeLoader)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found = [
        error.message for error in Draft202012Validator(closed(schema)).iter_errors(virtual_service()["spec"])
    ]
    assert found == []


def closed(schema: Any) -> Any:
    """Allow no fields that a schema does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        inner["additionalProperties"] = False
    return inner

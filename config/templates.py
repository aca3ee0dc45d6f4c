"""The `MetricTemplate` resource: a metric that the Canaries of its namespace may refer to."""

from typing import Literal

from config.canary import Metadata
from config.measures import MetricTemplateSpec
from config.model import Model


TEMPLATE_KIND = "MetricTemplate"
TEMPLATE_PLURAL = "metrictemplates"


class MetricTemplate(Model):
    """A MetricTemplate as a manifest."""

    api_version: Literal["crossfade.dev/v1alpha1"]
    kind: Literal["MetricTemplate"]
    metadata: Metadata
    spec: MetricTemplateSpec

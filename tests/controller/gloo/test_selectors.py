"""Which RouteTables a selector picks, as Gloo does."""

from typing import Any

import pytest

from controller.gloo.selectors import selected
from estates import Estate, Shelf


LABELS = {
    "a/plain": {},
    "a/echo": {"app": "echo"},
    "a/five": {"app": "cart", "size": "5"},
    "b/echo": {"app": "echo", "size": "-20"},
    "b/odd": {"size": "big"},
}


def shelf() -> Shelf:
    estate: Estate = {}
    for address, labels in reversed(LABELS.items()):
        namespace, name = address.split("/")
        metadata = {"namespace": namespace, "name": name, **({"labels": labels} if labels else {})}
        estate["RouteTable", namespace, name] = {"kind": "RouteTable", "metadata": metadata, "spec": {}}
    return Shelf(estate)


def expression(operator: str | int | None, *values: str, key: str = "app") -> dict[str, Any]:
    given = {"key": key, "operator": operator, "values": list(values)}
    return {"expressions": [{name: value for name, value in given.items() if value not in (None, [])}]}


ECHO = {"labels": {"app": "echo"}}
EXISTS = {"key": "app", "operator": "Exists"}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        pytest.param({}, "a/echo a/five a/plain", id="its own namespace, any labels"),
        pytest.param({"namespaces": ["b"]}, "b/echo b/odd", id="another namespace"),
        pytest.param(
            {"namespaces": ["c", "a", "b"], "labels": {"app": "echo"}}, "a/echo b/echo", id="several"
        ),
        pytest.param({"namespaces": ["c", "*"], "labels": {"app": "echo"}}, "a/echo b/echo", id="everywhere"),
        pytest.param({"labels": {"app": "echo"}}, "a/echo", id="a label"),
        pytest.param({"labels": {"app": "echo", "size": "5"}}, "", id="all labels"),
        pytest.param({"labels": {"app": "echo"}, **expression("Exists")}, "", id="labels and expressions"),
        pytest.param(expression("Equals", "echo"), "a/echo", id="equals"),
        pytest.param(expression("DoubleEquals", "echo"), "a/echo", id="double equals"),
        pytest.param(expression(None, "echo"), "a/echo", id="equals by default"),
        pytest.param(expression(0, "echo"), "a/echo", id="equals by number"),
        pytest.param(expression(5), "a/echo a/five", id="exists by number"),
        pytest.param(expression(9), "", id="no such number"),
        pytest.param(expression(-1, "echo"), "", id="no such number either"),
        pytest.param(expression("Equals", "echo", "cart"), "", id="one value, found two"),
        pytest.param(expression("Equals"), "", id="one value, found none"),
        pytest.param(expression("NotEquals", "echo"), "a/five a/plain", id="not equals, or not there"),
        pytest.param(expression("In", "echo", "cart"), "a/echo a/five", id="in"),
        pytest.param(expression("In"), "", id="in nothing"),
        pytest.param(expression("NotIn", "cart", "x"), "a/echo a/plain", id="not in"),
        pytest.param(expression("Exists"), "a/echo a/five", id="exists"),
        pytest.param(expression("Exists", "echo"), "", id="exists with a value"),
        pytest.param(expression("DoesNotExist"), "a/plain", id="does not exist"),
        pytest.param(expression("GreaterThan", "4", key="size"), "a/five", id="greater than"),
        pytest.param(expression("GreaterThan", "5", key="size"), "", id="not greater than itself"),
        pytest.param(expression("LessThan", "6", key="size"), "a/five", id="less than"),
        pytest.param(expression("LessThan", "5", key="size"), "", id="not less than itself"),
        pytest.param(
            {"namespaces": ["*"], **expression("LessThan", "6", key="size")}, "a/five b/echo", id="negative"
        ),
        pytest.param(expression("LessThan", "six", key="size"), "", id="less than no number"),
        pytest.param(expression("LessThan", "6", "7", key="size"), "", id="less than two numbers"),
        pytest.param(expression("Like", "echo"), "", id="no such operator"),
        pytest.param(
            {
                "expressions": [
                    *expression("Exists")["expressions"],
                    *expression("NotIn", "cart")["expressions"],
                ]
            },
            "a/echo",
            id="all expressions",
        ),
        pytest.param(
            {"expressions": [EXISTS, *expression("Like", "x")["expressions"]]},
            "",
            id="one that says nothing",
        ),
    ],
)
def test_tables_are_selected(selector: dict[str, Any], found: str) -> None:
    tables = (table["metadata"] for table in selected(shelf(), selector, "a"))
    assert " ".join(f"{each['namespace']}/{each['name']}" for each in tables) == found

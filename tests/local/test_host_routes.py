"""Route templates as ASP.NET Core reads them."""

import pytest

from mms_local.host.routes import RouteError, parse_template


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("health", "/health", {}),
        ("health", "/HEALTH/", {}),
        ("health", "/health/more", None),
        ("health", "/", None),
        ("", "/", {}),
        ("a/{id}", "/a/x%20y", {"id": "x y"}),
        ("a/{id}", "/a/x%2Fy", {"id": "x%2Fy"}),
        ("a/{id}", "/a/", None),
        ("a/{id?}", "/a", {}),
        ("a/{id?}", "/a/7", {"id": "7"}),
        ("a/{id=5}", "/a", {"id": "5"}),
        ("a/{id:int}", "/a/7", {"id": "7"}),
        ("a/{id:int}", "/a/-007", {"id": "-007"}),
        ("a/{id:int}", "/a/7x", None),
        ("a/{id:int}", "/a/2147483648", None),
        ("a/{id:long}", "/a/2147483648", {"id": "2147483648"}),
        ("a/{id:int?}", "/a", {}),
        ("a/{id:guid}", "/a/0f8fad5b-d9cb-469f-a165-70867728950e", {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
        ("a/{id:guid}", "/a/zzz", None),
        ("a/{on:bool}", "/a/True", {"on": "True"}),
        ("a/{x:alpha:minlength(2)}", "/a/ab", {"x": "ab"}),
        ("a/{x:alpha:minlength(2)}", "/a/b", None),
        ("a/{x:maxlength(2)}", "/a/abc", None),
        ("a/{x:length(2,3)}", "/a/abc", {"x": "abc"}),
        ("a/{x:length(2)}", "/a/abc", None),
        ("a/{x:range(1,5)}", "/a/6", None),
        ("a/{x:min(3)}", "/a/3", {"x": "3"}),
        ("a/{x:max(3)}", "/a/4", None),
        ("a/{x:double}", "/a/1.5", {"x": "1.5"}),
        ("a/{x:double}", "/a/one", None),
        ("a/{x:regex(^[a-c]{{2}}$)}", "/a/ab", {"x": "ab"}),
        ("a/{x:regex(^[a-c]{{2}}$)}", "/a/ad", None),
        ("a/{*rest}", "/a", {"rest": ""}),
        ("a/{*rest}", "/a/b/c%20d", {"rest": "b/c d"}),
        ("a/{**rest}", "/a/b/c", {"rest": "b/c"}),
        ("{name}.json", "/openapi.JSON", {"name": "openapi"}),
        ("{name}.json", "/openapi.xml", None),
        ("migrations/{user}/meetings", "/migrations/adele@contoso.com/meetings", {"user": "adele@contoso.com"}),
    ],
)
def test_matches(template, path, expected):
    """Case is ignored, a trailing slash too; constraints are checked; values are decoded but for %2F."""
    assert parse_template(template).match(path) == expected


@pytest.mark.parametrize(
    "template", ["a/{id", "a/id}", "a/{id}/{ID}", "{*rest}/a", "a/{x:unknown}", "a/{x:int", "a/{x:min(y)}", "{a}-{b}"]
)
def test_refuses_templates_that_make_no_sense(template):
    """Such a function does not start."""
    with pytest.raises(RouteError):
        parse_template(template)

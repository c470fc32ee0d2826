"""What must hold whatever stands around a block. html5lib, which shares no code with us, judges the nesting."""

from __future__ import annotations

import re
import warnings
from functools import cache

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from invitations import LANGUAGES, TEMPLATES, invitation, language_of

from mms_core.block import Fragment, decode_join_information, locate, remove, replace

HTML = [name for name in TEMPLATES if name.endswith(".html")]
TEXT = [name for name in TEMPLATES if name.endswith(".txt")]
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

_WORD = re.compile(r"w\d{1,9}q")


def block_of(template: str, tag: str = "en-US") -> str:
    """The block of a template from its first to its last character."""
    case = invitation(template, language_of(tag))
    return case.body[case.spans[0][0] : case.spans[-1][1]]


@cache
def fragment_of(template: str) -> Fragment:
    """A new block of one generation."""
    return decode_join_information(block_of(template).replace("TW9kZWxsYmF1ZXI1", "TmV1ZXJCYXVtZWlzdGVy"))


NEW = ["teams-1.html", "teams-2.html", "teams-3.html", "teams-3b.html", "teams-4.html", "teams-3-surplus.html"]
# A block that lies across the user's element is put there by its template, not by what stands around it.
WHOLE = [name for name in HTML if len(invitation(name, LANGUAGES[0]).spans) == 1]
# A lone link takes a paragraph with it that holds nothing else, be it half of what stands before it.
BLOCKS = [name for name in WHOLE if name != "lync.html"]

words = st.integers(0, 999_999_999).map(lambda number: f" w{number}q ")
entities = st.sampled_from(
    [
        "&nbsp;",
        "\u00a0",
        "&amp;",
        "&#55296;",
        "&#xD83D;",
        "&bogus;",
        "\r\n",
        "\r",
        "\n",
        "&lt;div&gt;",
        "😀",
        "שלום",
        "漢字",
        "\ufeff",
        "﷽",
    ]
)
attributes = st.sampled_from(
    [
        "",
        " class=MsoNormal",
        ' title="a > b"',
        " title='it''s'",
        ' style="mso-x:y; COLOR:Red"',
        ' data-x="<!--"',
        ' alt="</div>"',
        " hidden",
    ]
)
comments = st.sampled_from(
    [
        "<!-- me-email-text </div> -->",
        "<!--[if mso]><table><tr><td><![endif]-->",
        "<!---->",
        "<!-->",
        "<![endif]>",
        "<?xml:namespace prefix=o ?>",
        "<style>p{margin:0} /* </div> */</style>",
    ]
)
lines = st.sampled_from(["_" * 70, "." * 50, "<hr>", "<br>", "<p>" + "_" * 40 + "</p>", "- - - -"])
NAMES = ["div", "p", "span", "b", "i", "u", "font", "a", "blockquote", "ul", "li", "center", "h2", "sub", "o:p"]


def _element(children):
    return st.builds(
        lambda name, attribute, inner: f"<{name}{attribute}>{''.join(inner)}</{name}>",
        st.sampled_from(NAMES),
        attributes,
        st.lists(children, max_size=4),
    )


leaf = st.one_of(words, entities, comments, lines)
well_nested = st.lists(st.recursive(leaf, _element, max_leaves=12), max_size=6).map("".join)
# Not <a>: an open link is closed by the block's own link wherever that stands, which no splice can imitate. Nor any
# other formatting element: left open, it is opened anew in every paragraph that follows, the block's own included.
FORMATTING = ("a", "b", "i", "u", "font")
tags = st.builds(
    lambda slash, name, attribute: f"<{slash}{name}{'' if slash else attribute}>",
    st.sampled_from(["", "/"]),
    st.sampled_from([name for name in NAMES if name not in FORMATTING]),
    attributes,
)
wild = st.lists(st.one_of(leaf, tags), max_size=14).map("".join)


def nesting(body: str) -> dict[str, list[tuple[str, ...]]]:
    """Where every word of the user's stands, by html5lib."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import html5lib

        tree = html5lib.parse(body, treebuilder="etree", namespaceHTMLElements=False)
    found: dict[str, list[tuple[str, ...]]] = {}

    def walk(element, path):
        for text, where in ((element.text, (*path, element.tag)), (None, ())):
            for word in _WORD.findall(text or ""):
                found.setdefault(word, []).append(tuple(str(part) for part in where))
        for child in element:
            if isinstance(child.tag, str):
                walk(child, (*path, element.tag))
            for word in _WORD.findall(child.tail or ""):
                found.setdefault(word, []).append((*path, element.tag))

    walk(tree, ())
    return found


@pytest.mark.parametrize("template", WHOLE)
@QUICK
@given(prefix=well_nested, suffix=well_nested, new=st.sampled_from(NEW))
def test_everything_around_a_block_stays(template, prefix, suffix, new):
    """Prefix and suffix are identical, one block is left, twice is once, and nothing moves to another element."""
    block = block_of(template)
    body = f"<html><body><div>{prefix}</div>{block}<div>{suffix}</div></body></html>"
    located = locate(body)
    assert located.ambiguous is None
    changed = replace(body, fragment_of(new))
    head, tail = f"<html><body><div>{prefix}</div>", f"<div>{suffix}</div></body></html>"
    assert changed == head + fragment_of(new).html + tail
    assert replace(changed, fragment_of(new)) == changed
    assert len(locate(changed).blocks) == 1
    assert remove(body) == head + tail
    assert nesting(body) == nesting(changed)


@pytest.mark.parametrize("template", BLOCKS)
@QUICK
@given(prefix=wild, suffix=wild, new=st.sampled_from(NEW))
def test_nesting_outside_stays_in_broken_html(template, prefix, suffix, new):
    """In HTML with tags missing or too many, the characters stay, and every word stays in its element."""
    body = prefix + block_of(template) + suffix
    located = locate(body)
    assume(located.ambiguous is None)
    changed = replace(body, fragment_of(new), located=located)
    assume(located.blocks)
    assert changed.startswith(prefix)
    assert changed.endswith(suffix)
    assert replace(changed, fragment_of(new)) == changed
    assert len(locate(changed).blocks) == 1
    assert nesting(body) == nesting(changed)


lines_of_text = st.lists(
    st.one_of(
        st.text(alphabet=st.characters(exclude_characters="<_.\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=30),
        st.sampled_from(["_" * 70, "." * 50, "https://example.com/?sl", "a < b", "me@example.com", "", "  ", "\ufeff"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("template", TEXT)
@QUICK
@given(prefix=lines_of_text, suffix=lines_of_text, newline=st.sampled_from(["\n", "\r\n"]), new=st.sampled_from(NEW))
def test_everything_around_a_block_of_text_stays(template, prefix, suffix, newline, new):
    """Plain text stays plain text, in its own newlines, and the lines around the block are identical."""
    block = block_of(template).replace("\r\n", "\n").replace("\n", newline)
    head = "".join(line + newline for line in prefix)
    tail = "".join(newline + line for line in suffix)
    body = head + block + tail
    changed = replace(body, fragment_of(new))
    own = newline if newline in head + block else "\n"
    assert changed == head + fragment_of(new).text.replace("\n", own) + tail
    assert replace(changed, fragment_of(new)) == changed
    assert remove(body) == head + tail

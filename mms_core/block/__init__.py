"""The online-meeting block of an invitation: find it, replace it, touch nothing else.

Pure functions over ``str``: no input or output, only the standard library. How each kind is recognised and what makes
a body ambiguous: docs/blocks.md.
"""

from mms_core.block.fragment import decode_join_information
from mms_core.block.genuine import choose, judge, same_coordinates
from mms_core.block.locate import locate
from mms_core.block.model import AmbiguousBlock, BlockKind, Fragment, Genuineness, Located, MeetingBlock
from mms_core.block.rewrite import append, remove, replace
from mms_core.block.urls import canonical_join_url

__all__ = [
    "AmbiguousBlock",
    "BlockKind",
    "Fragment",
    "Genuineness",
    "Located",
    "MeetingBlock",
    "append",
    "canonical_join_url",
    "choose",
    "decode_join_information",
    "judge",
    "locate",
    "remove",
    "replace",
    "same_coordinates",
]

"""Which language a block is written in, from marks that are the same in every language.

Source of the language numbers: [MS-LCID], section 2.2.
"""

from __future__ import annotations

import re
from typing import Final

from mms_core.block.marks import holds

_LCIDS: Final[dict[int, str]] = {
    1025: "ar-SA", 1026: "bg-BG", 1027: "ca-ES", 1028: "zh-TW", 1029: "cs-CZ", 1030: "da-DK", 1031: "de-DE",
    1032: "el-GR", 1033: "en-US", 1034: "es-ES", 1035: "fi-FI", 1036: "fr-FR", 1037: "he-IL", 1038: "hu-HU",
    1039: "is-IS", 1040: "it-IT", 1041: "ja-JP", 1042: "ko-KR", 1043: "nl-NL", 1044: "nb-NO", 1045: "pl-PL",
    1046: "pt-BR", 1047: "rm-CH", 1048: "ro-RO", 1049: "ru-RU", 1050: "hr-HR", 1051: "sk-SK", 1052: "sq-AL",
    1053: "sv-SE", 1054: "th-TH", 1055: "tr-TR", 1056: "ur-PK", 1057: "id-ID", 1058: "uk-UA", 1059: "be-BY",
    1060: "sl-SI", 1061: "et-EE", 1062: "lv-LV", 1063: "lt-LT", 1065: "fa-IR", 1066: "vi-VN", 1067: "hy-AM",
    1068: "az-Latn-AZ", 1069: "eu-ES", 1071: "mk-MK", 1078: "af-ZA", 1079: "ka-GE", 1081: "hi-IN", 1086: "ms-MY",
    1087: "kk-KZ", 1089: "sw-KE", 1091: "uz-Latn-UZ", 1093: "bn-IN", 1095: "gu-IN", 1097: "ta-IN", 1098: "te-IN",
    1099: "kn-IN", 1102: "mr-IN", 1106: "cy-GB", 1110: "gl-ES", 1121: "ne-NP", 1124: "fil-PH", 2052: "zh-CN",
    2055: "de-CH", 2057: "en-GB", 2058: "es-MX", 2060: "fr-BE", 2064: "it-CH", 2067: "nl-BE", 2068: "nn-NO",
    2070: "pt-PT", 2074: "sr-Latn-CS", 2077: "sv-FI", 3076: "zh-HK", 3079: "de-AT", 3081: "en-AU", 3082: "es-ES",
    3084: "fr-CA", 3098: "sr-Cyrl-CS", 4100: "zh-SG", 4105: "en-CA", 4108: "fr-CH", 5129: "en-NZ", 6153: "en-IE",
    7177: "en-ZA", 9242: "sr-Latn-RS", 10266: "sr-Cyrl-RS", 16393: "en-IN",
}  # fmt: skip

_MARKER = re.compile(rb"\[!oc\(\[([0-9a-f]{4,5})\]\)!\]")
_HELP = re.compile(rb"[?&;]clid=([0-9]{4,5})\b")
_PARAMETERS: Final = (b"language=", b"language%3d", b"omkt=", b"omkt%3d", b"ui=", b"rs=")
"""Query parameters of Microsoft's own pages that carry a language, as they stand and inside a Safe Link."""
_VALUE = re.compile(rb"([a-z]+)(?:=|%3d)([a-z]{2,3}(?:-[a-z0-9]{2,8}){0,2})(?![a-z0-9-])")
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}\Z")


def language_of_lcid(digits: str) -> str | None:
    """Read the number in ``[!OC([1033])!]``, written in decimal by some versions and in hex (``041d``) by others.

    A leading zero or a letter says hex; otherwise decimal wins where it is a known language, then hex.
    """
    digits = digits.lower()
    if digits.isdecimal() and not digits.startswith("0") and int(digits) in _LCIDS:
        return _LCIDS[int(digits)]
    return _LCIDS.get(int(digits, 16))


def tidy_tag(tag: str | None) -> str | None:
    """Write a language tag in its usual case, or ``None`` where it is none."""
    if not tag or not _TAG.match(tag):
        return None
    first, *rest = tag.split("-")
    sizes = {2: str.upper, 4: str.title}
    return "-".join([first.lower(), *(sizes.get(len(part), str.lower)(part) for part in rest)])


def skype_language(shadow: bytes) -> str | None:
    """Language of a Skype block: the hidden marker, else the help link."""
    marker = _MARKER.search(shadow)
    if marker is not None:
        found = language_of_lcid(marker[1].decode())
        if found is not None:
            return found
    help_link = _HELP.search(shadow)
    if help_link is not None and int(help_link[1]) in _LCIDS:
        return _LCIDS[int(help_link[1])]
    return linked_language(shadow)


def linked_language(shadow: bytes) -> str | None:
    """Language in the query of one of the block's own links (meeting options, help)."""
    for parameter in _PARAMETERS:
        if not holds(shadow, parameter):
            continue
        position = shadow.find(parameter)
        if position > 0 and shadow[position - 1 : position] in {b"?", b"&", b";", b"f", b"6"}:
            found = _VALUE.match(shadow, position)
            if found is not None:
                return tidy_tag(found[2].decode())
    return None

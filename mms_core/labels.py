"""What Outlook writes into the location of an online meeting, by language.

A location is touched only if it is exactly one of the old labels; a room that somebody named "Skype corner" is not.
The strings are the clients' own user-interface strings.
"""

from __future__ import annotations

from typing import Final

_SKYPE: Final = (
    "Skype Meeting",
    "Online Meeting",
    "Lync Meeting",
    "Skype-Besprechung",
    "Onlinebesprechung",
    "Lync-Besprechung",
    "Réunion Skype",
    "Réunion en ligne",
    "Reunión de Skype",
    "Reunión en línea",
    "Riunione Skype",
    "Riunione online",
    "Skype-vergadering",
    "Onlinevergadering",
    "Skype-möte",
    "Onlinemöte",
    "Skype-møte",
    "Skype-møde",
    "Onlinemøde",
    "Skype-kokous",
    "Verkkokokous",
    "Reunião do Skype",
    "Reunião Skype",
    "Reunião Online",
    "Spotkanie w aplikacji Skype",
    "Spotkanie programu Skype",
    "Spotkanie online",
    "Schůzka přes Skype",
    "Skype-értekezlet",
    "Întâlnire Skype",
    "Skype Toplantısı",
    "Собрание Skype",
    "Собрание по сети",
    "Нарада Skype",
    "Σύσκεψη Skype",
    "פגישת Skype",
    "اجتماع Skype",
    "Skype 会議",
    "オンライン会議",
    "Skype 会议",
    "Skype 會議",
    "联机会议",
    "線上會議",
    "Skype 모임",
    "온라인 모임",
)
_TEAMS: Final = {
    "de": "Microsoft Teams-Besprechung",
    "fr": "Réunion Microsoft Teams",
    "es": "Reunión de Microsoft Teams",
    "it": "Riunione di Microsoft Teams",
    "nl": "Microsoft Teams-vergadering",
    "sv": "Microsoft Teams-möte",
    "da": "Microsoft Teams-møde",
    "nb": "Microsoft Teams-møte",
    "fi": "Microsoft Teams -kokous",
    "pt": "Reunião do Microsoft Teams",
    "ja": "Microsoft Teams 会議",
    "ko": "Microsoft Teams 모임",
    "zh": "Microsoft Teams 会议",
}
_OLD: Final = frozenset(label.casefold() for label in _SKYPE)


def is_skype_label(text: str) -> bool:
    """Say whether a location's display name is the label of a Skype or Lync meeting."""
    return text.strip().casefold() in _OLD


def teams_label(language: str | None) -> str:
    """Return the label of a Teams meeting in a language (BCP-47), in English where we have no other."""
    return _TEAMS.get((language or "").partition("-")[0].lower(), "Microsoft Teams Meeting")

"""Who works at Contoso, and what the demo makes happen to each of them."""

from dataclasses import dataclass
from enum import Enum

from mms_local.demo.words import DUTCH, ENGLISH, FRENCH, GERMAN, JAPANESE, SWEDISH, Words

DOMAIN = "contoso.com"
AUDIO_CONFERENCING_PLAN = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
"""MCOMEETADV, the service plan behind the Audio Conferencing licence."""
TOLL_NUMBER = "+1 425 555 0100"
NEW_BRIDGE = "Contoso West"
NEW_TOLL_NUMBER = "+1 206 555 0142"


class Story(Enum):
    """What happens to a user during the demo, in the words of the progress lines."""

    MOVED = "moved to the cloud, and to Teams"
    MOVED_LICENSED_GRANTED = "moved, licensed and granted at once"
    GRANTED = "granted TeamsOnly"
    LICENSED = "given an Audio Conferencing licence"
    UNLICENSED = "lost the Audio Conferencing licence"
    LICENSED_OTHER_PROVIDER = "licensed, but with another provider"
    REBRIDGED = "moved to another dial-in bridge"
    ASKED = "asked for by an admin"
    ASKED_MAILBOX_ON_PREMISES = "asked for, but mailbox on-premises"
    GRANTED_OTHER_MODE = "granted a mode that migrates nothing"
    GRANTED_WITHOUT_MIGRATION = "granted, but without migration"
    GRANTED_ON_PREMISES = "granted TeamsOnly, but on-premises"
    PROFILE_EDITED = "profile edited, SIP address changed"

    @property
    def is_homed_on_premises(self) -> bool:
        """Whether Skype for Business Server is the user's home when the demo begins."""
        return self in {Story.MOVED, Story.MOVED_LICENSED_GRANTED, Story.GRANTED_ON_PREMISES}

    @property
    def ends_with_audio_conferencing(self) -> bool:
        """Whether the user's Teams meetings carry dial-in coordinates in the end (rule R7)."""
        return self in {
            Story.MOVED_LICENSED_GRANTED,
            Story.GRANTED,
            Story.LICENSED,
            Story.LICENSED_OTHER_PROVIDER,
            Story.REBRIDGED,
        }

    @property
    def begins_with_audio_conferencing(self) -> bool:
        """Whether the licence is there before anything happens."""
        return self in {Story.GRANTED, Story.UNLICENSED, Story.REBRIDGED}

    @property
    def leads_to_a_run(self) -> bool:
        """Whether the service opens a request for the user, a refused one included."""
        return self not in {
            Story.GRANTED_OTHER_MODE,
            Story.GRANTED_WITHOUT_MIGRATION,
            Story.GRANTED_ON_PREMISES,
            Story.PROFILE_EDITED,
        }


@dataclass(frozen=True, slots=True)
class Person:
    """An employee of Contoso."""

    name: str
    language: Words
    story: Story
    conference_id: str

    @property
    def address(self) -> str:
        """User principal name, mail and SIP address in one, as in most tenants."""
        given, _, family = self.name.lower().partition(" ")
        return f"{given}.{family.replace(' ', '')}@{DOMAIN}"

    @property
    def toll_number(self) -> str:
        """The number under which attendees dial in at the end of the demo, if they can."""
        return NEW_TOLL_NUMBER if self.story is Story.REBRIDGED else TOLL_NUMBER

    def as_tenant_user(self) -> dict[str, object]:
        """The user as the tenant's administrator would have created it."""
        on_premises_mailbox = self.story is Story.ASKED_MAILBOX_ON_PREMISES
        other_provider = self.story is Story.LICENSED_OTHER_PROVIDER
        return {
            "userPrincipalName": self.address,
            "displayName": self.name,
            "mailbox": "onPremises" if on_premises_mailbox else "exchangeOnline",
            "homed": "onPremises" if self.story.is_homed_on_premises else "online",
            "mode": "SfBOnly" if self.story.is_homed_on_premises else "Islands",
            "plans": [AUDIO_CONFERENCING_PLAN] if self.story.begins_with_audio_conferencing else [],
            "audioConferencing": {
                "provider": "thirdParty" if other_provider else "microsoft",
                "bridge": "Contoso default bridge",
                "tollNumber": TOLL_NUMBER,
                "conferenceId": self.conference_id,
            },
        }


_CAST: tuple[tuple[Story, tuple[tuple[str, Words], ...]], ...] = (
    (
        Story.MOVED,
        (
            ("Lena Brandt", GERMAN),
            ("Jonas Vogel", GERMAN),
            ("Katrin Hofer", GERMAN),
            ("Amelie Laurent", FRENCH),
            ("Hugo Marchand", FRENCH),
            ("Astrid Lindqvist", SWEDISH),
            ("Nils Bergman", SWEDISH),
            ("Grace Whitfield", ENGLISH),
            ("Omar Haddad", ENGLISH),
            ("Ruth Okafor", ENGLISH),
        ),
    ),
    (Story.MOVED_LICENSED_GRANTED, (("Priya Raman", ENGLISH),)),
    (
        Story.GRANTED,
        (
            ("Haruto Endo", JAPANESE),
            ("Yui Kobayashi", JAPANESE),
            ("Sanne Visser", DUTCH),
            ("Bram Kuipers", DUTCH),
            ("Femke Jansen", DUTCH),
            ("Tomas Reyes", ENGLISH),
            ("Isabel Duarte", ENGLISH),
            ("Caleb Stone", ENGLISH),
            ("Noor Aziz", ENGLISH),
            ("Stefan Wirth", GERMAN),
        ),
    ),
    (
        Story.LICENSED,
        (
            ("Maya Feldman", ENGLISH),
            ("Victor Chang", ENGLISH),
            ("Ebba Nystrom", SWEDISH),
            ("Louis Perrin", FRENCH),
            ("Rin Takeda", JAPANESE),
            ("Greta Simon", GERMAN),
        ),
    ),
    (Story.UNLICENSED, (("Aaron Blake", ENGLISH),)),
    (Story.LICENSED_OTHER_PROVIDER, (("Helen Marsh", ENGLISH),)),
    (Story.REBRIDGED, (("Pieter Bos", DUTCH), ("Linnea Ek", SWEDISH), ("Dana Whitley", ENGLISH))),
    (Story.ASKED, (("Chloe Besson", FRENCH), ("Martin Keller", GERMAN), ("Sofia Marino", ENGLISH))),
    (Story.ASKED_MAILBOX_ON_PREMISES, (("Edgar Thorne", ENGLISH),)),
    (Story.GRANTED_OTHER_MODE, (("Naomi Fisher", ENGLISH),)),
    (Story.GRANTED_WITHOUT_MIGRATION, (("Daan Mulder", DUTCH),)),
    (Story.GRANTED_ON_PREMISES, (("Olivia Grant", ENGLISH),)),
    (Story.PROFILE_EDITED, (("Kenji Mori", JAPANESE),)),
)


def contoso() -> tuple[Person, ...]:
    """Everybody, in the same order and with the same conference ids on every run."""
    people: list[Person] = []
    for story, members in _CAST:
        for name, language in members:
            people.append(Person(name, language, story, conference_id=str(110_007_919 + 7_654_321 * len(people))))
    return tuple(people)

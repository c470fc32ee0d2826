"""The decision table against a second statement of the rules, over everything that can be asked of it."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path

import pytest
from rules_restated import restated

from mms_core.errors import CATALOGUE, BadInput
from mms_core.settings import TenantSettings
from mms_core.triggers import TABLE, TRIGGER_OF, Answer, Case, Facts, What, answer, row_for

ROOT = Path(__file__).parents[2]
WHATS = list(What)
FACTS = {
    "mailbox": ("online", "onPremises", "unknown"),
    "homed": ("online", "onPremises", "unknown"),
    "provider": ("microsoft", "thirdParty", "unknown"),
    "licensed": ("yes", "no", "unknown"),
    "public_meetings": ("yes", "no", "unknown"),
    "audience": ("in", "excluded", "notInPilot"),
}
GRANTS = {"scope": ("user", "tenant"), "mode": ("teams", "other"), "migrate": ("yes", "no", "unknown")}
SWITCHES = ("enabled", "automatic", "replace_acp", "switched_on")
ALL_FACTS = [dict(zip(FACTS, values, strict=True)) for values in itertools.product(*FACTS.values())]


def _grants(what):
    if what is not What.GRANT:
        return [{}]
    return [dict(zip(GRANTS, values, strict=True)) for values in itertools.product(*GRANTS.values())]


def _settings(switches, what, move_target):
    trigger = TRIGGER_OF.get(what)
    return TenantSettings(
        MeetingMigrationEnabled=switches["enabled"],
        AutomaticallyMigrateUserMeetings=switches["automatic"],
        AutomaticallyReplaceAcpProvider=switches["replace_acp"],
        MoveWithoutMoveToTeams=move_target,
        **({f"Trigger{trigger}": switches["switched_on"]} if trigger else {}),
    )


@pytest.mark.parametrize("what", WHATS, ids=str)
def test_every_cell_is_what_the_rules_say(what):
    """The whole product of events, facts and settings: answer, rule and target of each cell."""
    for values in itertools.product((True, False), repeat=len(SWITCHES)):
        switches = dict(zip(SWITCHES, values, strict=True))
        targets = ("Teams", "Current") if what is What.MOVED_TO_CLOUD else ("Teams",)
        for move_target in targets:
            settings = _settings(switches, what, move_target)
            for facts in ALL_FACTS:
                known = Facts(**facts)
                for grant in _grants(what):
                    got = answer(Case(what=what, facts=known, **grant, **switches), settings)
                    expected = restated(str(what), **grant, **facts, **switches, move_target=move_target)
                    target = str(got.target) if got.answer is Answer.REQUEST and what is not What.MANUAL else None
                    assert (str(got.answer), got.rule, target) == expected, (what, grant, facts, switches)


def test_every_rule_of_the_catalogue_has_a_row():
    """T1 to T11, N1 to N8 and W2 to W4 are all in the table."""
    wanted = {f"T{n}" for n in range(1, 12)} | {f"N{n}" for n in range(1, 9)} | {"W2", "W3", "W4"}
    assert wanted <= {row.rule for row in TABLE}


def test_every_row_decides_some_case():
    """A row that others hide would be a rule that nobody applies."""
    used = set()
    for what in WHATS:
        for values in itertools.product((True, False), repeat=len(SWITCHES)):
            switches = dict(zip(SWITCHES, values, strict=True))
            for facts in ALL_FACTS:
                known = Facts(**facts)
                used |= {id(row_for(Case(what=what, facts=known, **g, **switches))) for g in _grants(what)}
    assert [row for row in TABLE if id(row) not in used] == []


def test_refusals_carry_a_code_with_a_remedy():
    """An administrator who is refused learns what to do."""
    for row in TABLE:
        assert (row.code is not None) == (row.answer is Answer.REFUSE)
        if row.code is not None:
            assert CATALOGUE[row.code].remedy


def test_delay_of_a_kind_wins_over_the_settling_time():
    """Each kind has a delay of its own; None is the tenant's."""
    case = Case(what=What.PLAN_ASSIGNED)
    assert answer(case, TenantSettings()).delay is None
    assert answer(case, TenantSettings(TriggerT3DelayMinutes=5)).delay.total_seconds() == 300
    assert answer(Case(what=What.BRIDGE), TenantSettings(TriggerT3DelayMinutes=5)).delay is None


def test_video_interop_waits_for_the_policy_cache():
    """Six hours, or what the tenant says (T11)."""
    case = Case(what=What.VIDEO_INTEROP)
    assert answer(case, TenantSettings(TriggerT11=True)).wait_at_least.total_seconds() == 6 * 3600
    settings = TenantSettings(TriggerT11=True, TriggerT11DelayMinutes=0)
    assert answer(case, settings).wait_at_least.total_seconds() == 0


def test_every_trigger_has_a_switch_and_a_delay():
    """Names of settings follow the rule's id."""
    for rule in {row.rule for row in TABLE if row.answer is Answer.REQUEST}:
        assert isinstance(TenantSettings().is_trigger_on(rule), bool)
        assert TenantSettings().trigger_delay_minutes(rule) is None


def test_page_is_made_from_the_table():
    """docs/triggers.md is what its script would write now."""
    made = runpy.run_path(str(ROOT / "docs" / "make_triggers.py"))
    assert (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8") == made["render"]()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("AllowedUsers", [" A@b.example "], "a@b.example"),
        ("DeniedGroups", [], [1]),
        ("TriggerT3DelayMinutes", 5, 1.5),
        ("TriggerT3DelayMinutes", None, -1),
        ("TriggerT11", True, 1),
        ("PilotPercentage", 0, 101),
    ],
)
def test_setting_takes_its_type_only(name, good, bad):
    """A wrong type or range is refused with the setting's name, and a right one is kept."""
    changed = TenantSettings().changed({name: good})
    assert getattr(changed, name) == (tuple(x.strip().lower() for x in good) if isinstance(good, list) else good)
    with pytest.raises(BadInput) as caught:
        TenantSettings().changed({name: bad})
    assert caught.value.field == name

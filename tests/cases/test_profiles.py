"""The law as data: what it says, on which day, and what it leaves open."""

from datetime import date

import pytest
from django.utils import translation

from administration.cases import profiles
from administration.cases.models import Case
from administration.cases.policies import Policy, of
from tests.cast import CUTOFF, sha


def a_case(regime: str = "JP-PSA-2020", proceeding: str = "bankruptcy") -> Case:
    return Case(
        reference="P-1", regime=regime, proceeding=proceeding, trigger="REG_CANCELLED", cutoff_at=CUTOFF,
        is_sample=True, salt=sha("salt"), opened_at=CUTOFF,
    )  # fmt: skip


def test_every_profile_loads_and_says_where_in_the_law_each_thing_is() -> None:
    regimes, proceedings = profiles.codes()
    assert regimes == ["JP-FIEA-2026", "JP-PSA-2020"]
    assert proceedings == [
        "bankruptcy", "civil_rehabilitation", "corporate_reorganisation", "living_exchange", "special_liquidation",
    ]  # fmt: skip
    for code in regimes:
        regime = profiles.load(code, date(2026, 11, 2))
        for thing in (*regime.triggers.values(), *regime.parameters.values()):
            assert thing.law and isinstance(thing.confirmed, bool)
    for code in proceedings:
        proceeding = profiles.proceeding(code, date(2026, 11, 2))
        assert proceeding.title_en and proceeding.title_ja and proceeding.ja
        assert set(proceeding.classes) == {
            "trust_beneficiary", "priority_segregated", "lending_unsecured", "general", "own_insider", "after_cutoff",
        }  # fmt: skip
        for row in (*proceeding.classes.values(), *proceeding.deadlines.values()):
            assert row.law


def test_the_triggers_are_those_of_the_law_and_loss_of_management_control_is_one() -> None:
    triggers = profiles.load("JP-PSA-2020", date(2026, 11, 2)).triggers
    assert set(triggers) == {
        "REG_CANCELLED", "SUSPENSION_ORDER", "INSOLVENCY_PETITION", "ABOLITION_OR_DISSOLUTION", "MANAGEMENT_UNLOCATABLE",
        "LOSS_OF_MANAGEMENT_CONTROL", "DOMESTIC_HOLDING_ORDER", "BUSINESS_IMPROVEMENT_ORDER", "PREPARATION",
    }  # fmt: skip
    moving = {code for code, trigger in triggers.items() if trigger.moves_trust_powers}
    assert moving == {"REG_CANCELLED", "SUSPENSION_ORDER", "INSOLVENCY_PETITION", "ABOLITION_OR_DISSOLUTION"}


def test_a_number_the_law_has_not_set_is_refused_by_its_name_the_law_and_what_to_do() -> None:
    with pytest.raises(profiles.Unset) as refusal:
        profiles.need(a_case("JP-FIEA-2026"), "reserve.amount")
    for part in ("reserve.amount", "Act No. 64 of 2026", "Cabinet Office Order", "Enter the amount"):
        assert part in str(refusal.value)


def test_no_number_of_the_new_law_is_set() -> None:
    regime = profiles.load("JP-FIEA-2026", date(2026, 11, 2))
    assert {parameter.value for parameter in regime.parameters.values()} == {None}
    assert all(parameter.to_do for parameter in regime.parameters.values())


def test_a_number_the_law_has_set_is_given() -> None:
    assert profiles.need(a_case(), "segregation.hot_share_max") == [5, 100]
    with pytest.raises(profiles.NoSuchProfile):
        profiles.need(a_case(), "reserve.colour")


def test_a_profile_does_not_hold_before_its_first_day() -> None:
    with pytest.raises(profiles.NoSuchProfile, match="does not hold on 2019-01-01"):
        profiles.load("JP-PSA-2020", date(2019, 1, 1))
    with pytest.raises(profiles.NoSuchProfile, match="There are: JP-FIEA-2026, JP-PSA-2020"):
        profiles.load("JP-PSA-2030", date(2026, 1, 1))


def test_of_two_versions_the_one_that_holds_that_day_counts() -> None:
    rows = [profiles.load("JP-PSA-2020", date(2026, 1, 1))]
    older, newer = (
        profiles.Regime(**{**vars(rows[0]), "since": since, "until": until})
        for since, until in ((date(2020, 5, 1), date(2027, 4, 1)), (date(2027, 4, 1), None))
    )
    assert profiles._holding("X", [older, newer], date(2027, 3, 31)) is older
    assert profiles._holding("X", [older, newer], date(2027, 4, 1)) is newer


def test_products_of_the_ledger_are_classes_of_claims() -> None:
    case = a_case()
    assert profiles.claim_class(case, kind="fiat", product="spot") == "trust_beneficiary"
    assert profiles.claim_class(case, kind="coin", product="spot") == "priority_segregated"
    assert profiles.claim_class(case, kind="coin", product="lending") == "lending_unsecured"
    with pytest.raises(profiles.NoSuchProfile, match="perpetual"):
        profiles.claim_class(case, kind="coin", product="perpetual")


def test_bankruptcy_pays_money_from_the_estate_and_a_plan_may_pay_in_kind() -> None:
    assert profiles.class_rule(a_case(), "general").money_only
    assert not profiles.class_rule(a_case(), "priority_segregated").money_only
    assert not profiles.class_rule(a_case(proceeding="civil_rehabilitation"), "general").money_only


def test_names_come_in_both_languages_and_what_is_not_verified_says_so() -> None:
    proceeding = profiles.proceeding("bankruptcy", date(2026, 11, 2))
    trigger = profiles.load("JP-PSA-2020", date(2026, 11, 2)).triggers["LOSS_OF_MANAGEMENT_CONTROL"]
    assert (proceeding.title(), proceeding.shown()) == ("bankruptcy trustee", "bankruptcy")
    assert "to be confirmed" in trigger.shown()
    with translation.override("ja"):
        assert (proceeding.title(), proceeding.shown()) == ("破産管財人", "破産")


def test_the_policy_is_one_for_a_ledger_and_two_with_the_office_holder_for_what_moves_value(case: Case) -> None:
    assert of(case, "ledger.accept") == Policy(1, False)
    assert of(case, "cases.succeed") == Policy(2, False)
    for act in ("ledger.suspense", "distribution.plan", "returns.batch", "returns.replace", "anything.else"):
        assert of(case, act) == Policy(2, True)

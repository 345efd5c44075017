"""Plans: data under a strict schema; whoever mistypes a key is told which."""

from dataclasses import replace

import pytest

from administration.cases.appointments import NotEmpowered
from administration.distribution import plans
from administration.distribution.models import Plan
from administration.distribution.plans import BadPlan, draft, read
from administration.record.models import Event
from tests.cast import NOON
from tests.distribution.conftest import PLAN

POOL = 'name = "n"\nkind = "interim"\n[[pool]]\nname = "p"\nassets = ["BTC"]\nclasses = ["general"]\n'


@pytest.fixture
def goto(assets, cast):
    return cast.goto


def test_the_documented_example_is_a_plan(case, goto):
    plan = draft(case, plans.EXAMPLE.read_text(), by=goto, at=NOON)
    assert (plan.version, plan.name, str(plan)) == (1, "First interim return in kind", "T-1-P1")
    found = plans.pairs(case, read(plan.body))
    assert [(sharing.asset.code, sharing.classes) for sharing in found] == [
        ("BTC", ("priority_segregated",)),
        ("ETH", ("priority_segregated",)),
        ("JPY", ("trust_beneficiary", "priority_segregated")),
    ]
    assert Event.objects.get().kind == "plan.drafted"


def test_the_example_explained_in_japanese_is_the_same_plan():
    english, japanese = (read(file.read_text()) for file in (plans.EXAMPLE, plans.EXAMPLE_JA))
    (pool,) = japanese.pools
    assert japanese == replace(english, name=japanese.name, pools=type(english.pools)([replace(english.pools[0], name=pool.name)]))


def test_another_text_is_another_version_and_the_same_text_is_not(case, goto):
    first = draft(case, PLAN, by=goto, at=NOON)
    assert draft(case, PLAN, by=goto, at=NOON) == first
    assert draft(case, PLAN + "\n# longer\n", by=goto, at=NOON).version == 2


def test_only_who_may_plan_drafts(case, cast, goto):
    with pytest.raises(NotEmpowered):
        draft(case, PLAN, by=cast.fujii, at=NOON)
    assert not Plan.objects.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not TOML"),
        (POOL + "holdbak = 1\n", "“holdbak” in pool “p” is not known. Known are: name, assets, classes, source, holdback"),
        ('kid = "interim"\n' + POOL, "“kid” in the plan is not known"),
        ("name = 1\n", "“name” in the plan is not of the right kind"),
        ('name = "n"\n', "“kind” is missing in the plan"),
        (POOL.replace("interim", "sometimes"), "Write “interim” or “final”"),
        (POOL.replace('"n"', '" "'), "“name” is empty"),
        ('name = "n"\nkind = "interim"\npool = []\n', "no pool"),
        (POOL.replace('["BTC"]', '"all"'), "“every asset” or “every other asset”"),
        (POOL.replace('["BTC"]', "[]"), "“assets” in pool “p” must be a list"),
        (POOL.replace('["BTC"]', '["BTC", "BTC"]'), "different names"),
        (POOL.replace('"general"', '"friends"'), "“friends” in pool “p” is no class of claims"),
        (POOL.replace('"general"', '"after_cutoff"'), "is returned in full and is in no pool"),
        (POOL.replace('"p"', '"' + "p" * 31 + '"'), "1 to 30 letters"),
        (POOL + 'source = "anywhere"\n', "“free” in the books"),
        (POOL + 'rounding = "up"\n', "“floor” or “largest remainder”"),
        (POOL + 'rounding = "largest remainder"\n', "in an interim round could give a customer less"),
        (POOL + "reserve_disputed = 1\n", "“reserve_disputed” in pool “p” is not of the right kind"),
        (POOL + "holdback = { num = 1, den = 2 }\n", "“reason” is missing"),
        (POOL + 'holdback = { num = 3, den = 2, reason = "r" }\n', "a fraction from 0 to 1"),
        (POOL + 'holdback = { num = 1, reason = "r" }\n', "a fraction from 0 to 1"),
        (POOL + 'holdback = { reason = "r" }\n', "keeps nothing back"),
        (POOL + 'holdback = { amounts = { BTC = 1 }, reason = "r" }\n', "decimal texts in quotes"),
        (POOL + POOL[POOL.index("[[pool]]") :], "Two pools are called “p”"),
        (
            POOL.replace('["BTC"]', '"every asset"') + POOL[POOL.index("[[pool]]") :].replace('"p"', '"q"'),
            "shared in two pools",
        ),
    ],
)
def test_a_text_that_is_no_plan_is_refused_with_the_key_and_the_remedy(text, says):
    with pytest.raises(BadPlan) as refusal:
        read(text)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POOL.replace('"BTC"', '"DOGE"'), "has no asset “DOGE”"),
        (POOL, "No class of pool “p” may be given BTC in this proceeding"),
        (PLAN + 'holdback = { amounts = { BTC = "0.123456789" }, reason = "r" }\n', "at most 8 places"),
        (PLAN + 'holdback = { amounts = { BTC = "-1" }, reason = "r" }\n', "not an amount"),
        (PLAN + 'holdback = { amounts = { DOGE = "1" }, reason = "r" }\n', "is not shared in it"),
        (
            POOL.replace("general", "priority_segregated")
            + POOL[POOL.index("[[pool]]") :].replace('"p"', '"q"').replace("general", "priority_segregated"),
            "named in two pools",
        ),
    ],
)
def test_a_plan_that_does_not_fit_the_case_is_refused(case, goto, text, says):
    with pytest.raises(BadPlan) as refusal:
        draft(case, text, by=goto, at=NOON)
    assert says in str(refusal.value)
    assert not Plan.objects.exists()


def test_one_pool_may_take_what_the_others_leave(case, goto):
    text = PLAN.replace('"every asset"', '["JPY"]') + (
        '[[pool]]\nname = "coins"\nassets = "every other asset"\nclasses = ["priority_segregated"]\n'
    )
    plan = draft(case, text, by=goto, at=NOON)
    found = plans.pairs(case, read(plan.body))
    assert [(s.pool.name, s.asset.code) for s in found] == [("coins", "BTC"), ("coins", "ETH"), ("customers", "JPY")]

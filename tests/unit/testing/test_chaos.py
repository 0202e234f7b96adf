"""The plan of a chaos, and how it is carried out, without any process: clock and tree are played."""

from __future__ import annotations

import itertools
import signal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors.errors import InvalidOption
from slither_actors.testing._chaos_campaign import Campaign, Surroundings
from slither_actors.testing._chaos_hold import Hold
from slither_actors.testing._chaos_plan import KINDS, Aim, ChaosOptions, Strike, schedule
from slither_actors.testing._chaos_roles import DEFAULT_ROLES, ROLES, Process, targets_of

NAMES = {
    "root": "root",
    "registry": "registry",
    "stores": "supervisors",
    "stores/Rates": "stores",
    "pools": "supervisors",
    "pools/default": "supervisors",
    "pools/default/leases": "pools",
    "pools/default/dispatcher": "dispatchers",
    "pools/default/sessions": "dispatchers",
    "pools/default/workers": "supervisors",
    "pools/default/workers/worker-1": "workers",
    "pools/default/workers/worker-2": "workers",
    "pipes": "supervisors",
    "pipes/Score-1": "supervisors",
    "pipes/Score-1/clean": "stages",
    "pipes/Score-1/predict": "stages",
    "children": "supervisors",
    "children/shop": "supervisors",
    "children/shop/tea": "children",
    "children/clock": "children",
}


def tree():
    return [Process(name, number) for number, name in enumerate(NAMES, 100)]


@attrs.define(slots=False)
class Played:
    """A tree whose dead come back after a while, and a clock that only waiting moves."""

    back_after_s: float = 0.2
    lives_for_s: float = float("inf")
    late_s: float = 0.0
    now: float = 1000.0
    pids: itertools.count = attrs.field(factory=lambda: itertools.count(100))
    living: dict = attrs.field(factory=dict)
    coming: list = attrs.field(factory=list)
    sent: list = attrs.field(factory=list)
    stopped: set = attrs.field(factory=set)
    open: int = 0
    began: float = 0.0

    def __attrs_post_init__(self):
        self.began = self.now
        self.living = {name: Process(name, next(self.pids)) for name in NAMES}

    def look(self):
        for at, name in list(self.coming):
            if at <= self.now:
                self.coming.remove((at, name))
                self.living[name] = Process(name, next(self.pids))
        return list(self.living.values()) if self.now - self.began < self.lives_for_s else None

    def grip(self, process):
        if self.living.get(process.name) != process:
            return None
        self.open += 1
        return PlayedGrip(self, process)

    def wait(self, seconds):
        self.now += max(seconds, 0.001) + self.late_s
        return False

    def die(self, process):
        for name, other in list(self.living.items()):
            if f"{name}/".startswith(f"{process.name}/"):
                del self.living[name]
                self.stopped.discard(other.pid)
                self.coming.append((self.now + self.back_after_s, name))

    def world(self, **changes):
        sleep = lambda seconds: self.wait(seconds) and None  # noqa: E731
        return Surroundings(
            **{
                "look": self.look,
                "grip": self.grip,
                "clock": lambda: self.now,
                "wait": self.wait,
                "sleep": sleep,
                **changes,
            }
        )


@attrs.define
class PlayedGrip:
    played: Played
    process: Process

    def send(self, number):
        if self.played.living.get(self.process.name) != self.process:
            return False
        self.played.sent.append((self.played.now, self.process, number))
        if number == signal.SIGKILL:
            self.played.die(self.process)
        elif number == signal.SIGSTOP:
            self.played.stopped.add(self.process.pid)
        else:
            self.played.stopped.discard(self.process.pid)
        return True

    def release(self):
        self.played.open -= 1


def campaign(played, **options):
    made = Campaign(ChaosOptions(**{"seed": 1, "duration_s": 60.0, **options}), played.world())
    made.run()
    return made.report()


# -- who is what


def test_the_role_of_each_process_is_told_by_its_name():
    assert {target.process.name: target.role for target in targets_of(tree())} == NAMES
    assert set(NAMES.values()) == set(ROLES)


def test_supervisors_without_children_are_known_where_the_library_made_them():
    names = ["pipes", "children", "pools/default/workers", "pipes/Score-1"]
    assert {target.role for target in targets_of(Process(name, 1) for name in names)} == {"supervisors"}


# -- the plan


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("seed", 1.5, "a whole number"),
        ("rate", 0, "a finite number above 0"),
        ("duration_s", -1, "None, or a finite number of seconds above 0"),
        ("kinds", ("murder",), "some of kill, stop, slow"),
        ("kinds", "kill", "some of kill, stop, slow"),
        ("targets", (), "some of workers, dispatchers"),
        ("longest_stop_s", 0, "a finite number of seconds above 0"),
        ("spare_budgets", "no", "True or False"),
        ("settle_s", -1, "a finite number of seconds, at least 0"),
    ],
)
def test_options_are_checked(option, value, allowed):
    with pytest.raises(InvalidOption) as caught:
        ChaosOptions(**{option: value})
    assert (caught.value.option, caught.value.allowed[: len(allowed)]) == (option, allowed)


def test_the_same_seed_gives_the_same_strikes_and_another_one_others():
    first, again, other = (list(schedule(ChaosOptions(seed=seed, duration_s=100.0))) for seed in (5, 5, 6))
    assert first == again != other
    assert [strike.number for strike in first] == list(range(1, len(first) + 1))


def test_a_seed_is_drawn_where_none_is_given():
    assert len({ChaosOptions().seed for _ in range(5)}) > 1


@given(st.integers(), st.floats(0.1, 20), st.sets(st.sampled_from(KINDS), min_size=1), st.floats(0.01, 3))
@settings(max_examples=60)
def test_strikes_keep_within_what_was_asked_for(seed, rate, kinds, longest_s):
    options = ChaosOptions(seed=seed, rate=rate, kinds=tuple(kinds), longest_stop_s=longest_s)
    strikes = list(itertools.islice(schedule(options), 50))
    assert {strike.kind for strike in strikes} <= kinds
    assert all(earlier.at_s <= later.at_s for earlier, later in itertools.pairwise(strikes))
    for strike in strikes:
        if strike.kind == "stop":
            assert 0 < strike.lasts_s <= longest_s
        if strike.kind == "slow":
            assert 0 < strike.share < 1
            assert 0 < strike.lasts_s <= 2.0


def test_the_rate_is_that_of_the_strikes():
    strikes = list(schedule(ChaosOptions(seed=3, rate=4.0, duration_s=500.0)))
    assert 1800 < len(strikes) < 2200
    assert {kind: sum(strike.kind == kind for strike in strikes) > 550 for kind in KINDS} == dict.fromkeys(KINDS, True)


# -- who is hit


def choices(living, strikes=200, **options):
    aim = Aim(ChaosOptions(seed=9, **options))
    targets = list(targets_of(living))
    return [aim.choose(Strike(n, 0.0, "stop", 0.1), targets, (), (), 0.0) for n in range(1, strikes + 1)]


def test_neither_order_nor_numbers_of_processes_decide_who_is_hit():
    names = [target.process.name for target in choices(tree())]
    other = [Process(process.name, process.pid + 7) for process in reversed(tree())]
    assert [target.process.name for target in choices(other)] == names


def test_one_process_less_changes_who_is_hit_only_where_it_was_hit():
    before = choices(tree())
    after = choices([process for process in tree() if process.name != "children/clock"])
    differing = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert differing
    assert {target.process.name for target, _ in differing} == {"children/clock"}


def test_roles_come_in_turn_however_many_workers_there_are():
    workers = [Process(f"pools/default/workers/worker-{n}", 1000 + n) for n in range(3, 200)]
    roles = [target.role for target in choices([*tree(), *workers])]
    assert set(roles) == set(DEFAULT_ROLES)
    assert roles.count("workers") < 60


def test_only_who_is_asked_for_is_hit_and_never_the_root_by_itself():
    assert {target.role for target in choices(tree(), targets=("stores", "registry"))} == {"stores", "registry"}
    assert "root" not in {target.role for target in choices(tree())}
    assert {target.role for target in choices(tree(), targets=("root",))} == {"root"}
    assert choices(tree()[:1]) == [None] * 200


def test_who_is_held_is_not_held_twice_but_may_be_killed():
    aim = Aim(ChaosOptions(seed=1, targets=("registry",)))
    targets = list(targets_of(tree()))
    held = {process.pid for process in tree()}
    assert aim.choose(Strike(1, 0.0, "slow", 1.0, 0.5), targets, held, (), 0.0) is None
    assert aim.choose(Strike(2, 0.0, "kill"), targets, held, (), 0.0).role == "registry"


def test_a_supervisor_keeps_one_restart_of_its_budget():
    aim = Aim(ChaosOptions(seed=1, targets=("workers",)))
    targets = list(targets_of(tree()))
    hits = [aim.choose(Strike(n, 0.0, "kill"), targets, (), (), n * 0.5) is not None for n in range(1, 23)]
    assert hits[:2] == [True, True]
    assert hits == [True, True, *[False] * 9] * 2
    spend = Aim(ChaosOptions(seed=1, targets=("workers",), spare_budgets=False))
    assert all(spend.choose(Strike(n, 0.0, "kill"), targets, (), (), n * 0.5) for n in range(1, 23))


def test_a_stop_that_the_host_ends_with_a_kill_is_charged_too():
    targets = [target for target in targets_of(tree()) if target.role == "workers"]
    for lasts_s, hits in ((4.9, [True] * 4), (5.0, [True, True, False, False])):
        aim = Aim(ChaosOptions(seed=1, targets=("workers",)))
        stops = [Strike(n, 0.0, "stop", lasts_s) for n in range(1, 5)]
        assert [aim.choose(stop, targets, (), (), 0.0) is not None for stop in stops] == hits


def test_a_death_under_a_supervisor_that_is_just_starting_is_charged_above_too():
    targets = [target for target in targets_of(tree()) if target.role == "workers"]
    young = {"pools/default/workers", "pools/default", "pools"}

    def kills(*deaths):
        aim = Aim(ChaosOptions(seed=1, targets=("workers", "registry")))
        registry = [target for target in targets_of(tree()) if target.role == "registry"]
        for _ in range(2):
            aim.choose(Strike(1, 0.0, "kill"), deaths[0], (), deaths[1], 0.0)
        return aim.choose(Strike(3, 0.0, "kill"), registry, (), (), 0.0)

    assert kills(targets, young) is None
    assert kills(targets, young - {"pools"}) is not None
    assert kills(targets, {"pools"}) is not None


# -- stopping and slowing


def test_a_stop_is_one_pause():
    hold = Hold(Strike(1, 0.0, "stop", 0.3), 10.0)
    assert (hold.due, hold.step(10.0)) == (10.0, signal.SIGSTOP)
    assert hold.due == pytest.approx(10.3)
    assert (hold.step(10.35), hold.due) == (signal.SIGCONT, None)


@pytest.mark.parametrize("late_s", [0.0, 0.004, 0.5])
def test_a_slowed_process_gets_its_share_also_from_a_chaos_that_is_late(late_s):
    hold = Hold(Strike(1, 0.0, "slow", 2.0, 0.25), 0.0)
    now, running_s, stopped_s, before = 0.0, 0.0, 0.0, 0.0
    signals = []
    while hold.due is not None:
        now = hold.due + late_s
        number = hold.step(now)
        signals.append(number)
        if number is signal.SIGCONT:
            stopped_s += now - before
        else:
            running_s += now - before
        before = now
    assert number is None or number is signal.SIGCONT
    turns = [signal.SIGSTOP, signal.SIGCONT] * len(signals)
    assert [one for one in signals if one] == turns[: len([one for one in signals if one])]
    if not late_s:
        assert running_s / (running_s + stopped_s) == pytest.approx(0.25, abs=0.02)
    assert now <= 2.0 + 3 * (late_s + 0.02)


# -- a campaign


def test_a_campaign_is_the_same_for_the_same_seed_and_tells_what_came_back():
    report = campaign(Played())
    assert report == campaign(Played())
    assert report.alive
    assert (report.missing, report.by_itself) == ((), ())
    assert {hit.kind for hit in report.hits} == set(KINDS)
    for hit in report.hits:
        if hit.kind == "kill":
            assert 0.2 <= hit.back_after_s <= 0.31
    assert report.seconds == pytest.approx(60.0, abs=0.1)


def test_who_went_with_a_supervisor_is_named_with_it():
    report = campaign(Played(), kinds=("kill",), targets=("supervisors",))
    pools = [hit for hit in report.hits if hit.name == "pools/default"]
    assert pools
    assert set(pools[0].others) == {name for name in NAMES if name.startswith("pools/default/")}


def test_who_goes_without_a_strike_is_named_and_who_stays_away_too():
    played = Played(back_after_s=1000.0)
    look = played.look

    def losing():
        if played.now > 1010.0 and "children/clock" in played.living:
            played.die(played.living["children/clock"])
        return look()

    options = ChaosOptions(seed=1, duration_s=30.0, targets=("stores",), kinds=("kill",))
    made = Campaign(options, played.world(look=losing))
    made.run()
    report = made.report()
    assert report.by_itself == ("children/clock",)
    assert report.missing == ("stores/Rates",)
    assert played.now - 1000.0 - report.seconds == pytest.approx(5.0, abs=0.2)
    assert [hit.back_after_s for hit in report.hits] == [None]
    assert report.missed > 5
    assert "did not come back: stores/Rates" in str(report)


def test_what_is_started_on_demand_is_not_waited_for():
    played = Played()
    die = played.die

    def for_good(process):
        die(process)
        played.coming = [(at, name) for at, name in played.coming if not name.startswith("pipes/")]

    played.die = for_good
    options = {"kinds": ("kill",), "targets": ("supervisors",), "duration_s": 20.0, "rate": 3.0}
    report = campaign(played, **options)
    assert {"pipes/Score-1", "pipes/Score-1/clean"} <= set(report.missing)
    assert "pools/default" not in report.missing
    assert played.now - 1000.0 - report.seconds < 2.0


def test_a_system_that_is_gone_ends_it():
    report = campaign(Played(lives_for_s=10.0))
    assert not report.alive
    assert report.seconds < 11
    assert str(report).endswith("the system is gone")


def test_nobody_stays_stopped_when_the_time_is_over():
    for seed in range(20):
        played = Played()
        campaign(played, seed=seed, duration_s=5.0, rate=20.0, kinds=("stop", "slow"), longest_stop_s=60.0)
        assert any(number == signal.SIGSTOP for _, _, number in played.sent)
        assert (played.stopped, played.open) == (set(), 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nobody_stays_stopped_when_it_is_interrupted(error):
    played = Played()

    def wait(seconds):
        played.wait(seconds)
        if len(played.stopped) >= 3:
            raise error
        return False

    made = Campaign(ChaosOptions(seed=4, rate=20.0, kinds=("stop",), longest_stop_s=60.0), played.world(wait=wait))
    with pytest.raises(error):
        made.run()
    assert (played.stopped, played.open) == (set(), 0)
    assert len(made.report().hits) >= 3


def test_the_dead_get_no_signal_and_no_process_is_hit_twice_in_one_moment():
    played = Played(late_s=1.0)
    report = campaign(played, rate=10.0, spare_budgets=False)
    kills = [hit.pid for hit in report.hits if hit.kind == "kill"]
    assert len(kills) == len(set(kills))
    assert report.missing == ()


class GripOnTheDying(PlayedGrip):
    """The kernel takes a signal for who is dead and not reaped yet."""

    def send(self, number):
        super().send(number)
        return True


def test_whoever_takes_long_to_die_is_hit_once():
    played = Played(back_after_s=2.0)
    ghosts = []
    die = played.die

    def slowly(process):
        ghosts.extend((played.now + 1.0, other) for other in played.living.values() if other == process)
        die(process)

    def look():
        return [*played.look(), *(ghost for until, ghost in ghosts if played.now < until)]

    played.die = slowly
    options = ChaosOptions(seed=2, duration_s=20.0, rate=20.0, targets=("workers",), spare_budgets=False)
    made = Campaign(options, played.world(look=look, grip=lambda process: GripOnTheDying(played, process)))
    made.run()
    kills = [hit.pid for hit in made.report().hits if hit.kind == "kill"]
    assert len(kills) == len(set(kills)) > 5


def test_a_process_that_a_stop_made_its_supervisor_give_up_is_told():
    played = Played()

    def wait(seconds):
        played.wait(seconds)
        for process in list(played.living.values()):
            if process.pid in played.stopped:
                played.die(process)
        return False

    made = Campaign(ChaosOptions(seed=1, duration_s=10.0, kinds=("stop",)), played.world(wait=wait))
    made.run()
    hits = made.report().hits
    assert hits
    assert all(hit.lost for hit in hits)
    assert all(hit.back_after_s is not None for hit in hits)


def test_a_report_is_plain_data_and_a_text():
    report = campaign(Played(), duration_s=20.0)
    plain = report.plain()
    assert (plain["seed"], plain["alive"], len(plain["hits"])) == (1, True, len(report.hits))
    text = str(report)
    assert text.startswith("chaos with seed 1, 20.")
    assert text.endswith("the system lives")
    assert all(hit.name in text for hit in report.hits)

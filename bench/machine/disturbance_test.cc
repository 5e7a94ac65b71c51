#include "bench/machine/disturbance.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

/// Two CPUs, both ours for a second from `wall_s` 10 on.
LoadSnapshot Start() {
  return {.wall_s = 10,
          .own_cpu_s = 5,
          .involuntary_switches = 7,
          .cpus = 2,
          .busy_s = 100,
          .steal_s = 1,
          .run_wait_s = std::map<int, double>{{1, 0.5}, {2, 0.25}},
          .throttled_s = 3,
          .pressure_s = 2};
}
LoadSnapshot AfterASecond() {
  LoadSnapshot after = Start();
  after.wall_s += 1;
  after.own_cpu_s += 2;
  *after.busy_s += 2;
  after.involuntary_switches += 4;
  return after;
}
Disturbance Since(const LoadSnapshot& after) { return Compare(Start(), Start(), after, 2); }

Disturbance Made(double run_wait, double wall_s = 1) {
  return {.wall_s = wall_s, .run_wait = run_wait, .others = 0.0};
}
Conditions MadeConditions(size_t asked, const std::vector<double>& waits) {
  Conditions conditions{.asked = asked};
  for (const double wait : waits) conditions.repetitions.push_back(Made(wait));
  return conditions;
}

TEST_CASE("disturbance: two looks with nothing else between them are quiet") {
  const Disturbance d = Since(AfterASecond());
  CHECK(d.wall_s == doctest::Approx(1));
  CHECK(*d.run_wait == 0);
  CHECK(*d.others == 0);
  CHECK(*d.steal == 0);
  CHECK(*d.throttled == 0);
  CHECK(*d.pressure == 0);
  CHECK(d.involuntary_switches == 4);
  CHECK_FALSE(d.disturbed());

  // What a system always does: a kernel thread's turn, a tick that falls on somebody else.
  LoadSnapshot after = AfterASecond();
  after.run_wait_s = {{1, 0.5 + 0.001}, {2, 0.25 + 0.0005}};
  *after.busy_s += 0.02;
  CHECK_FALSE(Since(after).disturbed());
}

TEST_CASE("disturbance: what takes a CPU from a thread shows, by the thread that waits longest") {
  LoadSnapshot after = AfterASecond();
  after.run_wait_s = {{1, 0.5 + 0.01}, {2, 0.25 + 0.3}, {9, 0.02}};
  const Disturbance d = Since(after);
  CHECK(*d.run_wait == doctest::Approx(0.3));
  REQUIRE(d.Causes().size() == 1);
  CHECK(d.Causes()[0].first == "waiting for a CPU");
  // A thread that is new has waited since it began.
  after.run_wait_s = {{1, 0.5}, {9, 0.4}};
  CHECK(*Since(after).run_wait == doctest::Approx(0.4));
}

TEST_CASE("disturbance: own CPU time is no other's, and others' is a share of the CPUs") {
  LoadSnapshot after = AfterASecond();
  after.own_cpu_s = Start().own_cpu_s + 1;
  CHECK(*Since(after).others == doctest::Approx(0.5));
  CHECK(Since(after).disturbed());
  // The scheduler's clock is finer than the ticks: own time may exceed the CPUs'.
  after.own_cpu_s = Start().own_cpu_s + 2.005;
  CHECK(*Since(after).others == 0);
}

TEST_CASE("disturbance: stolen time and a quota's stops show") {
  LoadSnapshot after = AfterASecond();
  *after.steal_s += 0.2;
  *after.throttled_s += 0.1;
  const Disturbance d = Since(after);
  CHECK(*d.steal == doctest::Approx(0.1));
  CHECK(*d.throttled == doctest::Approx(0.05));  // of the time of two threads
  REQUIRE(d.Causes().size() == 2);
  CHECK(d.Causes()[0].first == "other guests of the host");
  CHECK(d.Causes()[1].first == "the cgroup's CPU quota");
}

TEST_CASE("disturbance: what is counted in ticks is judged beyond a tick, over a longer span") {
  LoadSnapshot before = AfterASecond();
  LoadSnapshot after = before;
  after.wall_s += 0.05;
  after.own_cpu_s += 0.1;
  *after.busy_s += 0.12;  // two ticks too many in 50 ms of two CPUs
  const Disturbance by_itself = Compare(before, before, after, 2);
  CHECK(*by_itself.others == doctest::Approx(0.2));
  CHECK(by_itself.resolution == doctest::Approx(0.2));
  CHECK_FALSE(by_itself.disturbed());
  const Disturbance over_a_second = Compare(Start(), before, after, 2);
  CHECK(*over_a_second.others == doctest::Approx(0.02 / 2.1));
  CHECK_FALSE(over_a_second.disturbed());
  // A competitor of half a CPU all the time.
  *after.busy_s += 0.5;
  CHECK(Compare(Start(), before, after, 2).disturbed());
}

TEST_CASE("disturbance: short waits of short repetitions are waking up") {
  CHECK_FALSE(Made(0.1, 0.003).disturbed());
  CHECK(Made(0.3, 0.003).disturbed());
}

TEST_CASE("disturbance: more threads than CPUs wait for each other, which is no other's doing") {
  LoadSnapshot after = AfterASecond();
  after.run_wait_s = {{1, 0.5 + 0.5}, {2, 0.25 + 0.5}};
  *after.pressure_s += 1;
  CHECK_FALSE(Compare(Start(), Start(), after, 4).disturbed());
  *after.busy_s += 0.5;
  CHECK(Compare(Start(), Start(), after, 4).disturbed());
}

TEST_CASE("disturbance: what the system does not tell is absent, and not judged") {
  LoadSnapshot before{.wall_s = 1};
  LoadSnapshot after{.wall_s = 2};
  const Disturbance d = Compare(before, before, after, 1);
  CHECK_FALSE(d.run_wait);
  CHECK_FALSE(d.others);
  CHECK_FALSE(d.disturbed());
  Conditions conditions{.asked = 1, .repetitions = {d}};
  CHECK_FALSE(conditions.known());
  CHECK(std::string(CsvField(conditions)).empty());
  // Where no thread says how long it waited, the system's pressure stands in.
  before.pressure_s = 0;
  after.pressure_s = 0.5;
  CHECK(Compare(before, before, after, 1).disturbed());
}

TEST_CASE("conditions: disturbed repetitions are repeated, as many more at most") {
  CHECK(MadeConditions(3, {0, 0}).WantsMore());
  CHECK_FALSE(MadeConditions(3, {0, 0, 0}).WantsMore());
  CHECK(MadeConditions(3, {0, 0.5, 0}).WantsMore());
  CHECK_FALSE(MadeConditions(3, {0, 0.5, 0, 0}).WantsMore());
  CHECK(MadeConditions(3, {0.5, 0.5, 0.5, 0.5, 0.5}).WantsMore());
  CHECK_FALSE(MadeConditions(3, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}).WantsMore());
  Conditions slow = MadeConditions(2, {0.5, 0.5, 0.5});
  CHECK(slow.WantsMore());
  slow.repetitions.back().wall_s = 40;
  CHECK_FALSE(slow.WantsMore());
}

TEST_CASE("conditions: a figure rests on quiet repetitions if they are half of those asked for") {
  const std::vector<double> samples{1, 2, 3, 4, 5, 6};
  const Conditions mostly = MadeConditions(3, {0, 0.5, 0, 0.5, 0.5, 0.5});
  CHECK(mostly.quiet() == 2);
  CHECK_FALSE(mostly.disturbed());
  CHECK(mostly.Kept(samples) == std::vector<double>{1, 3});
  CHECK(*mostly.Largest().run_wait == 0);
  const Conditions hardly = MadeConditions(3, {0.5, 0.5, 0, 0.5, 0.5, 0.5});
  CHECK(hardly.disturbed());
  CHECK(hardly.Kept(samples) == samples);
  CHECK(*hardly.Largest().run_wait == 0.5);
  // Before conditions were recorded: all that there is.
  const Conditions unknown;
  CHECK_FALSE(unknown.disturbed());
  CHECK(unknown.Kept(samples) == samples);
}

TEST_CASE("conditions: JSON there and back, and a record from before there were any") {
  Conditions conditions = MadeConditions(2, {0, 0.5, 0.125});
  conditions.repetitions[1].mhz = 3200;
  conditions.unknown = {{"throttled", "no cgroup"}};
  const nlohmann::json json = conditions;
  CHECK(json.at("disturbed") == false);
  CHECK(json.at("repetitions").at(1).at("disturbed") == true);
  CHECK(json.at("repetitions").at(1).at("steal_share").is_null());
  CHECK(nlohmann::json(json.get<Conditions>()) == json);
  CHECK(nlohmann::json(Conditions{}).is_null());
  CHECK_FALSE(ConditionsOf({{"tokens", 1}}).known());
  CHECK_FALSE(ConditionsOf({{"conditions", nullptr}}).known());
  CHECK(ConditionsOf({{"conditions", json}}).known());
}

TEST_CASE("disturbed figures are counted, with the worst of each cause") {
  DisturbedCount count;
  count.Add(MadeConditions(1, {0}));
  CHECK(count.FootLine().empty());
  count.Add(MadeConditions(2, {0, 0.5, 0}));
  CHECK(count.FootLine() == "repetitions of other figures left out as disturbed: 1\n");
  count.Add(MadeConditions(1, {0.125, 0.5}));
  count.Add(MadeConditions(1, {0.25}));
  count.Add(Conditions{});
  CHECK(count.disturbed() == 2);
  CHECK(count.unknown() == 1);
  CHECK(count.all() == 5);
  CHECK(count.Causes() == "waiting for a CPU up to 50 %");
  CHECK(test::Contains(count.FootLine(), "! disturbed: 2 of 5 figures (waiting for a CPU up to"));
  // A cell with several figures counts once.
  DisturbedCount cells;
  const Conditions quiet = MadeConditions(1, {0});
  const Conditions disturbed = MadeConditions(1, {0.25, 0.25});
  const std::vector<const Conditions*> parts{&disturbed, &quiet, &disturbed};
  cells.Add(parts);
  CHECK(cells.disturbed() == 1);
  CHECK(cells.all() == 1);
}

}  // namespace
}  // namespace crossover::bench

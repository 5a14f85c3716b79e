// Two ways of moving the same bytes, measured in turns in the same run.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace depthai::bench {

using Seconds = std::chrono::duration<double>;

/// Moves all packets of a case; returns the duration without preparation.
using Run = std::function<Seconds()>;

inline Seconds timed(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::steady_clock::now() - begin;
}

/// An action whose whole duration is measured.
inline Run all_of(const std::function<void()>& action) {
  return [action] { return timed(action); };
}

struct Case {
  std::string name;
  std::size_t bytes;  // of one packet
  std::size_t packets;
  Run baseline;
  Run ours;
  double goal = 0;  // smallest good ratio; 0: none
};

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// MB/s of moving `bytes` in all.
inline double measure(std::size_t bytes, const Run& run) {
  return static_cast<double>(bytes) / 1e6 / run().count();
}

/// The values as JSON.
inline std::string list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "[" : ", ") + std::to_string(value);
  return text + "]";
}

/// The names of the two sides.
struct Comparison {
  const char* name;
  const char* baseline;
  const char* ours;
};

/// Measure all cases, print a table, and write JSON if `--json FILE` is given.
/// Returns the program's exit status.
inline int compare(int argc, char** argv, const Comparison& what, const std::vector<Case>& cases) {
  constexpr int kRounds = 9;  // after one warm-up round; the medians are compared
  if (argc != 1 && (argc != 3 || std::string(argv[1]) != "--json")) {
    std::fprintf(stderr, "usage: %s [--json FILE]\n", what.name);
    return 2;
  }
  std::string json;
  std::printf("%-22s %9s %9s MB/s %9s MB/s %7s\n", "packets of", "bytes", what.baseline, what.ours,
              "ratio");
  for (const Case& row : cases) {
    std::vector<double> baseline, ours;
    for (int round = 0; round <= kRounds; ++round) {
      baseline.push_back(measure(row.bytes * row.packets, row.baseline));
      ours.push_back(measure(row.bytes * row.packets, row.ours));
    }
    baseline.erase(baseline.begin());
    ours.erase(ours.begin());
    std::printf("%-22s %9zu %14.0f %14.0f %7.2f\n", row.name.c_str(), row.bytes, median(baseline),
                median(ours), median(ours) / median(baseline));
    json += (json.empty() ? "\n {\"case\": \"" : ",\n {\"case\": \"") + row.name +
            "\", \"ours\": " + list(ours) + ", \"other\": " + list(baseline) +
            ", \"baseline\": \"" + what.baseline + "\", \"unit\": \"MB/s\", \"goal\": " +
            (row.goal > 0 ? std::to_string(row.goal) : "null") + ", \"more_is_better\": true}";
  }
  if (argc == 3) std::ofstream(argv[2]) << "{\"" << what.name << "\": [" << json << "]}\n";
  return 0;
}

}  // namespace depthai::bench

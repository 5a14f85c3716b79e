// Runs a harness without a fuzzer: on kept inputs, and on changed copies of them.
//
// Usage: fuzz_TARGET FOLDER [SECONDS [SEED]]

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include "input.hpp"

namespace {

using depthai::fuzz::Bytes;

Bytes contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A few bytes changed, bytes appended or cut off, or the second half of another input.
Bytes changed(Bytes bytes, const std::vector<Bytes>& others, std::mt19937& random) {
  const auto below = [&](std::size_t count) { return random() % std::max<std::size_t>(count, 1); };
  switch (random() % 4) {
    case 0:
      bytes.resize(below(bytes.size()));
      break;
    case 1: {
      const Bytes& other = others[below(others.size())];
      bytes.resize(below(bytes.size()));
      bytes.insert(bytes.end(), other.begin() + static_cast<long>(below(other.size())),
                   other.end());
      break;
    }
    case 2:
      for (auto left = random() % 32; left > 0; --left) {
        bytes.push_back(static_cast<std::uint8_t>(random()));
      }
      break;
    default:
      break;
  }
  for (auto left = random() % 8; left > 0 && !bytes.empty(); --left) {
    bytes[below(bytes.size())] = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

/// An input that ends the process is in the file `changed-SEED` then.
void run_changed(const std::vector<Bytes>& inputs, std::chrono::seconds time, std::uint32_t seed) {
  using Clock = std::chrono::steady_clock;
  std::mt19937 random(seed);
  const std::string path = "changed-" + std::to_string(seed);
  const auto end = Clock::now() + time;
  std::uint64_t count = 0;
  for (; Clock::now() < end; ++count) {
    Bytes bytes = changed(inputs[random() % inputs.size()], inputs, random);
    if (random() % 2 == 0) bytes = changed(bytes, inputs, random);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    if (count % 4096 == 0) std::cerr << '#' << count << " changed" << std::endl;
  }
  std::filesystem::remove(path);
  std::cerr << "stat::number_of_executed_units: " << count << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::cerr << "usage: " << argv[0] << " FOLDER [SECONDS [SEED]]\n";
    return 2;
  }
  std::vector<Bytes> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::cerr << entry.path().string() << std::endl;
    inputs.push_back(contents(entry.path()));
    LLVMFuzzerTestOneInput(inputs.back().data(), inputs.back().size());
  }
  if (inputs.empty()) {
    std::cerr << argv[1] << ": there are no inputs\n";
    return 2;
  }
  if (argc > 2) {
    const auto seed = argc > 3 ? std::stoul(argv[3]) : std::random_device()();
    run_changed(inputs, std::chrono::seconds(std::stol(argv[2])), static_cast<std::uint32_t>(seed));
  }
  return 0;
}

// A made-up libusb: the bus, its devices and all results come from the input of a fuzzer.
#pragma once

#include <chrono>

#include "input.hpp"

namespace depthai::fuzz {

/// From now on the calls of libusb read their results from `input`, and the clock is made up, too.
void begin_bus(Input& input);
/// Expects that everything was given back, and returns to the real clock.
void end_bus();
/// Lets time pass on the made-up clock.
void pass(std::chrono::nanoseconds time);

}  // namespace depthai::fuzz

// The two clocks: one for how long things took, one for when they were.
#pragma once

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace rop {

using Clock = std::chrono::steady_clock;

// Milliseconds.
inline double since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

// Wall-clock time, ISO 8601, UTC.
inline std::string now() {
    std::timespec time{};
    std::timespec_get(&time, TIME_UTC);
    std::tm utc{};
    gmtime_r(&time.tv_sec, &utc);
    char date[32], text[64];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(text, sizeof text, "%s.%06ld+00:00", date, time.tv_nsec / 1000);
    return text;
}

}  // namespace rop

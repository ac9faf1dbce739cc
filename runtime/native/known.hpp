// What a bundle knows the answers to: its self-test, run at each start, and its stage vectors, run by --vectors.
#pragma once

#include <string>
#include <vector>

#include "reading.hpp"

namespace rop {

// Runs the self-test: whether the bundle holds one. with_keys: a site's bundle must, with a frame that has to be referred.
// Raises Refused for one that fails or does not fit.
bool self_test(const Bundle &bundle, Engine &engine, bool with_keys);

// What is not met of the stage vectors, by frame and stage; empty when all is. frames: gets how many were looked at.
// Raises Refused for a bundle without vectors.
std::vector<std::string> vector_problems(const Bundle &bundle, Engine &engine, std::size_t &frames);

}  // namespace rop

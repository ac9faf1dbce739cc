#include "damage.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>
#include <vector>

namespace rop {
namespace {

using Steps = std::vector<std::vector<int>>;  // a row for each place between blocks, [columns * 3]

// The first three are levels: darker than an eye, as white as paper, and what a seam's mean step is at most.
constexpr int DARK = 24, WHITE = 245, FLAT_ROWS = 8, COLUMNS = 160, CLIP = 32;
constexpr double SHIFT_MAX = 0.9, OVER_FEW = 1.6, OVER_MOST = 4.0, ROUGHNESS_MAX = 2.5;

const std::uint8_t *row_of(const Picture &it, int row) { return &it.rgb[static_cast<std::size_t>(row) * static_cast<std::size_t>(it.width) * 3]; }

bool alike(const std::uint8_t *one, const std::uint8_t *other) {
    return std::abs(one[0] - other[0]) <= 1 && std::abs(one[1] - other[1]) <= 1 && std::abs(one[2] - other[2]) <= 1;
}

bool is_flat(const Picture &it, int row) {
    const std::uint8_t *pixels = row_of(it, row);
    for (const int step : {std::max(1, it.width / 16), 1}) {  // far ones first: most rows end there
        for (int x = step; x < it.width; x += step) {
            if (!alike(pixels + 3 * x, pixels + 3 * (x - step))) return false;
        }
    }
    return true;
}

// First row and the row after the last of each run of rows of one colour.
std::vector<std::pair<int, int>> flat_runs(const Picture &it) {
    std::vector<std::pair<int, int>> runs;
    for (int row = 0; row < it.height; row++) {
        if (!is_flat(it, row)) continue;
        if (!runs.empty() && runs.back().second == row && alike(row_of(it, row), row_of(it, row - 1))) {
            runs.back().second = row + 1;
        } else {
            runs.emplace_back(row, row + 1);
        }
    }
    return runs;
}

// Whether what is seen above a band goes on below it, so that the band lies over the picture.
bool goes_on(const std::uint8_t *above, const std::uint8_t *below, int width) {
    double apart = 0, level = 0;
    int seen = 0;
    for (int x = 0; x < width; x++, above += 3, below += 3) {
        if (std::min(*std::max_element(above, above + 3), *std::max_element(below, below + 3)) <= DARK) continue;
        seen++;
        for (int c = 0; c < 3; c++) {
            apart += std::abs(above[c] - below[c]);
            level += above[c];
        }
    }
    return seen >= 0.3 * width && apart < 0.25 * level;
}

std::string flat_band(const Picture &it) {
    const auto runs = flat_runs(it);
    const bool frame = !runs.empty() && runs.front().first == 0 && runs.back().second == it.height;
    for (const auto &[first, end] : runs) {
        const std::uint8_t *pixel = row_of(it, first);
        const int level = *std::max_element(pixel, pixel + 3);
        const bool within = first > 0 && end < it.height;
        const bool damaged = within ? goes_on(row_of(it, first - 1), row_of(it, end), it.width)
                                    : end - first >= FLAT_ROWS && end - first < it.height && DARK < level && level < WHITE && !frame;
        if (damaged) return "rows " + std::to_string(first) + " to " + std::to_string(end - 1) + " are one flat colour, which no photograph has";
    }
    return "";
}

// Rows in pairs, of about so many columns, since interlaced cameras give even and odd rows another brightness.
Steps pairs_of(const Picture &it) {
    const int stride = std::max(1, it.width / COLUMNS);
    Steps pairs;
    for (int row = 0; row + 1 < it.height / 8 * 8; row += 2) {
        const std::uint8_t *one = row_of(it, row), *other = row_of(it, row + 1);
        auto &sums = pairs.emplace_back();
        for (int x = stride / 2; x < it.width; x += stride) {
            for (int c = 3 * x; c < 3 * x + 3; c++) sums.push_back(one[c] + other[c]);
        }
    }
    return pairs;
}

// Four times the step in level after each fourth pair from `first` on, less what the slope there makes.
Steps steps_of(const Steps &pairs, std::size_t first) {
    Steps steps;
    for (std::size_t at = first; at + 2 < pairs.size(); at += 4) {
        auto &row = steps.emplace_back(pairs[at].size());
        for (std::size_t i = 0; i < row.size(); i++) {
            row[i] = pairs[at - 1][i] - pairs[at + 2][i] + 3 * (pairs[at + 1][i] - pairs[at][i]);
        }
    }
    return steps;
}

// Of each row the largest |sum| of clipped steps from either side over a quarter of it or more.
std::vector<double> shifts(const Steps &steps) {
    std::vector<double> found;
    for (const auto &row : steps) {
        const std::size_t columns = row.size() / 3, quarter = columns / 4;
        int most = 0;
        for (std::size_t c = 0; c < 3; c++) {
            std::vector<int> sums(columns);
            int sum = 0;
            for (std::size_t x = 0; x < columns; x++) sums[x] = sum += std::clamp(row[3 * x + c], -CLIP, CLIP);
            for (std::size_t x = quarter; x < columns; x++) most = std::max(most, std::abs(sums[x]));
            for (std::size_t x = 0; x < columns - quarter; x++) most = std::max(most, std::abs(sum - sums[x]));
        }
        found.push_back(most);
    }
    return found;
}

std::vector<double> roughness(const Steps &steps) {
    std::vector<double> found;
    for (const auto &row : steps) {
        double sum = 0;
        for (const int step : row) sum += std::abs(std::clamp(step, -4 * CLIP, 4 * CLIP));
        found.push_back(sum / static_cast<double>(row.size()) / 4);
    }
    return found;
}

double largest(const std::vector<double> &values) { return *std::max_element(values.begin(), values.end()); }

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    const double at = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

// How much the strongest edge along a row of blocks stands out; over 1 hardly an undamaged picture lies.
double seam_score(const Picture &it) {
    const Steps pairs = pairs_of(it), at_blocks = steps_of(pairs, 3), elsewhere = steps_of(pairs, 5);
    std::vector<double> here = shifts(at_blocks);
    const double columns = static_cast<double>(pairs[0].size()) / 3;
    double shift = (largest(here) - 1.5 * largest(shifts(elsewhere))) / columns / 4 / SHIFT_MAX;
    if (shift > 1) {
        const double most = OVER_MOST * quantile(here, 0.75);
        std::sort(here.begin(), here.end());
        shift = std::min(shift, here.back() / std::max(std::min(OVER_FEW * here[here.size() - 3], most), 1.0));
    }
    const std::vector<double> rough = roughness(at_blocks);
    const double usual = quantile(rough, 0.5), plain = largest(roughness(elsewhere));
    return std::max(shift, (largest(rough) - std::max(0.0, plain - usual)) / (usual + 0.5) / ROUGHNESS_MAX);
}

}  // namespace

std::string damage_seen(const Picture &picture, bool blocks) {
    if (picture.height < 48 || picture.width < 32) return "";
    const std::string flat = flat_band(picture);
    return !flat.empty() || !blocks || seam_score(picture) <= 1 ? flat : "a seam across the picture";
}

}  // namespace rop

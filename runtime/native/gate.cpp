#include "gate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "preprocess.hpp"

namespace rop {

const char *const NOT_ONE = "not one retina";

namespace {

constexpr std::size_t PIXELS = std::size_t{SIDE} * SIDE;
constexpr double FIELD_SHARE_MIN = 0.02;
using Floats = std::vector<float>;

std::size_t at(int y, int x, int side = SIDE) { return static_cast<std::size_t>(y * side + x); }

// 1 where all of a window of 2 * reach + 1 is; what lies outside counts as `outside`.
Bytes eroded(const Bytes &field, int side, int reach, std::uint8_t outside) {
    Bytes rows(field.size()), both(field.size());
    const auto pass = [&](const Bytes &from, Bytes &to, bool down) {
        for (int a = 0; a < side; a++) {
            for (int b = 0; b < side; b++) {
                std::uint8_t all = 1;
                for (int d = -reach; d <= reach; d++) {
                    const int c = b + d;
                    all &= c < 0 || c >= side ? outside : from[down ? at(c, a, side) : at(a, c, side)];
                }
                to[down ? at(b, a, side) : at(a, b, side)] = all;
            }
        }
    };
    pass(field, rows, false);
    pass(rows, both, true);
    return both;
}

// How many separate parts the field has, narrow bridges cut: counted on every fourth pixel, neighbours by their sides.
double separate_fields(const Bytes &field) {
    constexpr int few = SIDE / 4;
    Bytes small(std::size_t{few} * few);
    for (int y = 0; y < few; y++) {
        for (int x = 0; x < few; x++) small[at(y, x, few)] = field[at(4 * y, 4 * x)];
    }
    Bytes apart = eroded(small, few, 6, 0);
    int parts = 0;
    std::vector<int> left;
    for (int start = 0; start < few * few; start++) {
        if (!apart[static_cast<std::size_t>(start)]) continue;
        int area = 0;
        apart[static_cast<std::size_t>(start)] = 0;
        left.push_back(start);
        while (!left.empty()) {
            const int here = left.back(), y = here / few, x = here % few;
            left.pop_back();
            area++;
            for (const auto &[dy, dx] : {std::pair{-1, 0}, {1, 0}, {0, -1}, {0, 1}}) {
                if (y + dy < 0 || y + dy >= few || x + dx < 0 || x + dx >= few) continue;
                const int next = here + dy * few + dx;
                if (!apart[static_cast<std::size_t>(next)]) continue;
                apart[static_cast<std::size_t>(next)] = 0;
                left.push_back(next);
            }
        }
        parts += area > FIELD_SHARE_MIN * few * few;
    }
    return parts;
}

// Without repeating the edge: -1 is 1.
int mirrored(int place) { return place < 0 ? -place : place >= SIDE ? 2 * SIDE - 2 - place : place; }

Floats blurred(const Floats &levels, double sigma) {
    const int taps = static_cast<int>(std::lrint(sigma * 4 * 2 + 1)) | 1, reach = taps / 2;
    std::vector<double> exact;
    double total = 0;
    for (int i = -reach; i <= reach; i++) total += exact.emplace_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    Floats kernel;
    for (const double value : exact) kernel.push_back(static_cast<float>(value / total));
    Floats rows(PIXELS), both(PIXELS);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            float sum = 0;
            for (int i = -reach; i <= reach; i++) {
                sum += kernel[static_cast<std::size_t>(i + reach)] * levels[at(y, mirrored(x + i))];
            }
            rows[at(y, x)] = sum;
        }
    }
    for (int y = 0; y < SIDE; y++) {
        for (int i = -reach; i <= reach; i++) {
            const float by = kernel[static_cast<std::size_t>(i + reach)];
            for (int x = 0; x < SIDE; x++) both[at(y, x)] += by * rows[at(mirrored(y + i), x)];
        }
    }
    return both;
}

// (detail, edge ratio) well inside the field, whose own border is the sharpest edge of all.
std::pair<double, double> sharpness(const Floats &green, const Bytes &field) {
    const Bytes inside = eroded(field, SIDE, 12, 1);
    const auto pixels = std::count(inside.begin(), inside.end(), 1);
    if (pixels < 100) return {0.0, 0.0};
    const Floats fine = blurred(green, 0.8), coarse = blurred(green, 1.6);
    Floats steps;
    double detail = 0;
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            if (!inside[at(y, x)]) continue;
            const float around = green[at(mirrored(y - 1), x)] + green[at(mirrored(y + 1), x)] +
                                 green[at(y, mirrored(x - 1))] + green[at(y, mirrored(x + 1))];
            detail += static_cast<double>(std::fabs(around - 4 * green[at(y, x)]));
            steps.push_back(std::fabs(fine[at(y, x)] - coarse[at(y, x)]));
        }
    }
    const auto ranked = [&](double share) {
        const auto place = steps.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(steps.size()) * share);
        std::nth_element(steps.begin(), place, steps.end());
        return static_cast<double>(*place);
    };
    const double middle = ranked(0.5), high = ranked(0.97);
    return {detail / static_cast<double>(pixels), high / std::max(middle, 0.05)};
}

std::vector<std::pair<std::string, double>> measured(const Bytes &input) {
    const Bytes field = field_of_view(input);
    const auto lit = static_cast<std::size_t>(std::count(field.begin(), field.end(), 1));
    double sums[3] = {0, 0, 0}, brightness = 0;
    std::size_t glare = 0;
    Floats green(PIXELS);
    for (std::size_t i = 0; i < PIXELS; i++) {
        const std::uint8_t *rgb = &input[3 * i];
        green[i] = rgb[1];
        if (lit && !field[i]) continue;
        for (int c = 0; c < 3; c++) sums[c] += rgb[c];
        const int grey = (rgb[0] * 9798 + rgb[1] * 19235 + rgb[2] * 3735 + (1 << 14)) >> 15;
        brightness += grey;
        glare += grey > 235;
    }
    const double looked_at = static_cast<double>(lit ? lit : PIXELS);
    const double red = sums[0] / looked_at, mean_green = sums[1] / looked_at, blue = sums[2] / looked_at;
    const double total = std::max(red + mean_green + blue, 1e-6);
    const auto [detail, edge_ratio] = sharpness(green, field);
    return {{"brightness", brightness / looked_at},
            {"glare_share", static_cast<double>(glare) / looked_at},
            {"field_share", static_cast<double>(lit) / static_cast<double>(PIXELS)},
            {"fields", separate_fields(field)},
            {"detail", detail},
            {"edge_ratio", edge_ratio},
            {"redness", (red - blue) / total},
            {"green_excess", (mean_green - red) / total}};
}

}  // namespace

const std::vector<std::string> &limit_names() {
    static const std::vector<std::string> names = {
        "brightness_min", "brightness_max", "glare_share_max", "field_share_min", "detail_min",
        "detail_max",     "edge_ratio_min", "fields_max",      "redness_min",     "green_excess_max"};
    return names;
}

Bytes field_of_view(const Bytes &input) {
    Bytes field(PIXELS);
    for (std::size_t i = 0; i < PIXELS; i++) {
        field[i] = input[3 * i] > 20 || input[3 * i + 1] > 20 || input[3 * i + 2] > 20;
    }
    return field;
}

Quality grade(const Bytes &input, const Limits &limits) {
    Quality found;
    found.measures = measured(input);
    const std::map<std::string, double> m(found.measures.begin(), found.measures.end());
    const auto least = [&](const char *name) { return m.at(name) >= limits.at(std::string(name) + "_min"); };
    const auto most = [&](const char *name) { return m.at(name) <= limits.at(std::string(name) + "_max"); };
    // Each comparison asks whether the measure is good, so that one that is not a number never is.
    const std::pair<const char *, bool> fits[] = {
        {"too dark", least("brightness")},
        {"too bright or glare", most("brightness") && most("glare_share")},
        {"field of view missing or cut", least("field_share")},
        {NOT_ONE, most("fields") && (m.at("fields") >= 1 || m.at("field_share") < limits.at("field_share_min"))},
        {"not a retina", least("redness") && most("green_excess") && most("detail")},
        {"blurred", least("detail") && least("edge_ratio")},
    };
    for (const auto &[reason, fit] : fits) {
        if (!fit) found.reasons.emplace_back(reason);
    }
    found.gradable = found.reasons.empty();
    return found;
}

}  // namespace rop

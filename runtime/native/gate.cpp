#include "gate.hpp"

namespace rop {
namespace {

const char *const FIELD = "field of view missing or cut";

Measures measured(const Bytes &input) {
    GateMeasures m;
    if (gate_measures(input.data(), &m) != GATE_DONE) throw NoResult("frame takes more memory than there is");
    return {{"brightness", m.brightness}, {"glare_share", m.glare_share}, {"field_share", m.field_share}, {"fields", m.fields},
            {"detail", m.detail}, {"edge_ratio", m.edge_ratio}, {"redness", m.redness}, {"green_excess", m.green_excess},
            {"dark_twentieth", m.dark_twentieth}, {"dark_third", m.dark_third}, {"glare_spot", m.glare_spot}, {"blank", m.blank},
            {"edge_lit", m.edge_lit}, {"corner_lit", m.corner_lit},
            {"relief", m.relief}};
}

std::vector<std::string> unmet(const std::vector<std::pair<const char *, bool>> &fits) {
    std::vector<std::string> reasons;
    for (const auto &[reason, fit] : fits) {
        if (!fit) reasons.emplace_back(reason);
    }
    return reasons;
}

}  // namespace

Bytes field_of_view(const Bytes &input) {
    Bytes field(input.size() / 3);
    for (std::size_t i = 0; i < field.size(); i++) {
        field[i] = input[3 * i] > GATE_DARK || input[3 * i + 1] > GATE_DARK || input[3 * i + 2] > GATE_DARK;
    }
    return field;
}

Quality grade(const Bytes &input, const Limits &limits) {
    Quality found{false, {}, measured(input)};
    const std::map<std::string, double> m(found.measures.begin(), found.measures.end());
    const auto least = [&](const char *name) { return m.at(name) >= limits.at(std::string(name) + "_min"); };
    const auto most = [&](const char *name) { return m.at(name) <= limits.at(std::string(name) + "_max"); };
    // Each comparison asks whether the measure is good, so that one that is not a number never is.
    found.reasons = unmet({
        {"too dark", least("brightness")},
        {"too bright or glare", most("brightness") && most("glare_share") && most("glare_spot")},
        {"light uneven", (least("dark_twentieth") && least("dark_third")) || !least("brightness") || !least("field_share")},
        {FIELD, least("field_share")},
        {NOT_ONE, most("fields") && (m.at("fields") >= 1 || m.at("field_share") < limits.at("field_share_min"))},
        {"not a retina", least("redness") && most("green_excess") && most("detail")},
        {"blurred", least("detail") && least("edge_ratio")},
    });
    if (!found.reasons.empty() && found.reasons.back() == "blurred" && least("brightness") && m.at("brightness") < DIM) {
        found.reasons.insert(found.reasons.begin(), "too dark");
    }
    // A dark, bright or blurred picture is blank, too, and what is no retina has no round field.
    if (found.reasons.empty() && !(most("blank") && most("edge_lit") && most("corner_lit") && least("relief"))) found.reasons.emplace_back(FIELD);
    found.gradable = found.reasons.empty();
    return found;
}

std::vector<std::string> structure_faults(const Picture &picture, const Bytes &input) {
    StructureMeasures m;
    if (structure_measures(picture.rgb.data(), picture.height, picture.width, input.data(), &m) != GATE_DONE) {
        throw NoResult("frame takes more memory than there is");
    }
    return unmet({
        {"torn or put together from parts",
         m.comb_ratio <= COMB_RATIO_MAX && m.comb_offset <= COMB_OFFSET_MAX && m.seam <= SEAM_MAX &&
             m.repeated_rows <= STUCK_ROWS_MAX && m.likeness <= LIKENESS_MAX},
        {FIELD, m.hull_share >= HULL_SHARE_MIN},
        {"text, lines or noise over the picture", m.strokes <= STROKES_MAX && m.grains <= GRAINS_MAX && m.fine_strokes <= FINE_STROKES_MAX},
        {"colours exchanged or missing", m.blue_excess <= BLUE_EXCESS_MAX && m.spread >= SPREAD_MIN && m.own_colour >= OWN_COLOUR_MIN},
        {"blurred", !(m.repeated_rows > REPEATED_ROWS_MAX && m.repeated_rows <= STUCK_ROWS_MAX)},
    });
}

}  // namespace rop

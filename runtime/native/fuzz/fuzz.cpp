// libFuzzer target: what rop-read makes of strangers' bytes before OpenVINO sees any. The first byte chooses which.

#include "../bundle.hpp"
#include "../familiar.hpp"
#include "../gate.hpp"
#include "../picture.hpp"
#include "../site.hpp"

namespace {

const rop::Limits limits = [] {
    rop::Limits made;
    for (const char *const name : rop::LIMIT_NAMES) made[name] = 1;
    return made;
}();

void see(const rop::Picture &picture) {
    const auto pixels = static_cast<std::int64_t>(picture.width) * picture.height;
    if (pixels > 250'000 || picture.height > 100 * picture.width) return;  // larger ones take their time, and tell no more
    const rop::Bytes input = rop::network_input(picture);
    rop::grade(input, limits);
    rop::structure_faults(picture, input);
}

void see(const rop::Familiar &familiar) { familiar.distance(familiar.mean); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size < 3) return 0;
    const rop::Bytes rest(data + 3, data + size);
    try {
        switch (data[0] % 6) {
            case 0: see(rop::decode(rest)); break;
            case 1: rop::parse_manifest(rop::text_of(rest), "fuzz"); break;
            case 2: rop::parse_signature(rest, "fuzz"); break;
            case 3: rop::decode_grey(rest); break;
            case 5: see(rop::parse_familiar(rop::text_of(rest), "fuzz", std::string(64, '0'))); break;
            default: {  // raw pixels of these sides, made of what there is
                const int width = data[1] + 1, height = data[2] + 1;
                rop::Bytes pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
                for (std::size_t i = 0; i < pixels.size() && !rest.empty(); i++) pixels[i] = rest[i % rest.size()];
                see(rop::raw(pixels, width, height));
            }
        }
    } catch (const rop::Refused &) {
    } catch (const rop::NoResult &) {
    }
    return 0;
}

/*
 * ropscreen.hpp: ropscreen.h for C++17, where leaving a scope gives slots and connection back and failures throw.
 *
 *     rop::Client client("/run/ropscreend/socket", "camera-1");
 *     client.configure(3, 2040 * 2040 * 3);
 *     if (auto slot = client.acquire()) {
 *         camera.grab_into(slot->pixels(), slot->bytes());
 *         slot->submit(picture);
 *     }
 *     if (auto result = client.wait(std::chrono::milliseconds(20))) show(result->text, result->fresh_until_ns);
 *
 * Only what ends the connection or is a mistake throws; "nothing yet", "no slot" and "stale" are empty optionals.
 * Threads: as in ropscreen.h, one at a time for a client and its slots.
 */
#ifndef ROPSCREEN_HPP
#define ROPSCREEN_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include "ropscreen.h"

namespace rop {

class Error : public std::runtime_error {
  public:
    Error(const std::string &what, rop_status status, const rop_client *client)
        : std::runtime_error(what + ": " + (client != nullptr ? rop_error(client) : rop_status_text(status))),
          status_(status), refusal_(*rop_last_refusal(client))
    {
    }
    rop_status status() const noexcept { return status_; }
    /* Whether only a new Client helps. */
    bool connection_over() const noexcept { return status_ <= ROP_GONE; }
    const rop_refusal &refusal() const noexcept { return refusal_; }

  private:
    rop_status status_;
    rop_refusal refusal_;
};

class Client;

/* A slot to write pixels into; given back unsent when it goes out of scope before submit. Must not outlive its Client. */
class Slot {
  public:
    Slot(Slot &&other) noexcept : client_(other.client_), slot_(other.slot_) { other.client_ = nullptr; }
    Slot(const Slot &) = delete;
    Slot &operator=(const Slot &) = delete;
    Slot &operator=(Slot &&) = delete;
    ~Slot()
    {
        if (client_ != nullptr) {
            (void)rop_release_slot(client_, &slot_);
        }
    }
    std::uint8_t *pixels() const noexcept { return slot_.pixels; }
    std::size_t bytes() const noexcept { return slot_.bytes; }
    /* Of the pixels in Client::ring_fd. */
    std::uint64_t offset() const noexcept { return slot_.offset; }
    /* True when it was handed over; false when the daemon takes nothing more for now and the slot is still held. */
    bool submit(const rop_picture &picture)
    {
        if (client_ == nullptr) {
            throw Error("submit: the slot was handed over already", ROP_BAD_STATE, nullptr);
        }
        const rop_status status = rop_submit(client_, &slot_, &picture);
        if (status == ROP_NOTHING_YET) {
            return false;
        }
        if (status != ROP_OK) {
            throw Error("submit", status, client_);
        }
        client_ = nullptr;
        return true;
    }

  private:
    friend class Client;
    Slot(rop_client *client, const rop_slot &slot) noexcept : client_(client), slot_(slot) {}
    rop_client *client_;
    rop_slot slot_;
};

class Client {
  public:
    using VesselMap = std::array<std::uint8_t, ROP_VESSEL_BYTES>;

    /* `options`: as in ropscreen.h; `size` need not be set. */
    Client(const std::string &socket_path, const std::string &name, rop_options options = {}) : client_(rop_new(), rop_free)
    {
        if (client_ == nullptr) {
            throw std::bad_alloc();
        }
        options.size = sizeof options;
        check("open " + socket_path, rop_open(client_.get(), socket_path.c_str(), name.c_str(), &options));
    }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    void configure(std::uint32_t slots, std::uint32_t slot_bytes, rop_order order = ROP_ORDER_NEWEST,
                   std::uint8_t flags = 0)
    {
        check("configure", rop_configure(client_.get(), slots, slot_bytes, order, flags));
    }
    std::optional<Slot> acquire()
    {
        rop_slot slot;
        const rop_status status = rop_acquire_slot(client_.get(), &slot);
        if (status == ROP_NO_SLOT) {
            return std::nullopt;
        }
        check("acquire a slot", status);
        return Slot(client_.get(), slot);
    }
    std::optional<rop_result> poll() { return wait(std::chrono::milliseconds(0)); }
    std::optional<rop_result> wait(std::chrono::milliseconds timeout)
    {
        rop_result result;
        const rop_status status = rop_wait(client_.get(), milliseconds(timeout), &result);
        if (status == ROP_NOTHING_YET) {
            return std::nullopt;
        }
        check("wait for a result", status);
        return result;
    }
    /* Empty when the slot was submitted again since, or no map was wanted. */
    std::unique_ptr<VesselMap> vessels(const rop_result &result) const
    {
        auto map = std::make_unique<VesselMap>();
        const rop_status status = rop_result_vessels(client_.get(), &result, map->data());
        if (status == ROP_STALE) {
            return nullptr;
        }
        check("vessels", status);
        return map;
    }
    rop_health_report health()
    {
        rop_health_report report;
        check("health", rop_health(client_.get(), &report));
        return report;
    }
    rop_bundle_report bundle()
    {
        rop_bundle_report report;
        check("bundle", rop_bundle(client_.get(), &report));
        return report;
    }
    int descriptor() const noexcept { return rop_descriptor(client_.get()); }
    int ring_fd() const noexcept { return rop_ring_fd(client_.get()); }
    /* No frame handed over so far is to have a result. */
    void cancel() { check("cancel", rop_cancel(client_.get())); }

  private:
    static std::uint32_t milliseconds(std::chrono::milliseconds time)
    {
        return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
    }
    void check(const std::string &what, rop_status status) const
    {
        if (status != ROP_OK) {
            throw Error(what, status, client_.get());
        }
    }
    std::unique_ptr<rop_client, void (*)(rop_client *)> client_;
};

} // namespace rop
#endif

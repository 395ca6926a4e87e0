// trimalloc_stats as dictionaries, field by field under the names that the C interface gives them.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "bindings/engine.h"
#include "bindings/functions.h"

namespace trimalloc::bindings {
namespace {

struct Field {
  const char* name;
  std::size_t offset;
};

#define FIELD(type, name) \
  Field { #name, offsetof(type, name) }

constexpr Field kTotals[] = {
    FIELD(trimalloc_stats, reserved),
    FIELD(trimalloc_stats, committed),
    FIELD(trimalloc_stats, small_in_use),
    FIELD(trimalloc_stats, large_in_use),
    FIELD(trimalloc_stats, large_requested),
    FIELD(trimalloc_stats, large_objects),
    FIELD(trimalloc_stats, thread_cached),
    FIELD(trimalloc_stats, transfer_cached),
    FIELD(trimalloc_stats, central_free),
    FIELD(trimalloc_stats, span_tail),
    FIELD(trimalloc_stats, span_holes),
    FIELD(trimalloc_stats, page_heap_resident),
    FIELD(trimalloc_stats, page_heap_released),
    FIELD(trimalloc_stats, metadata),
    FIELD(trimalloc_stats, thread_caches),
    FIELD(trimalloc_stats, limit),
    FIELD(trimalloc_stats, soft_limit),
    FIELD(trimalloc_stats, peak_resident),
    FIELD(trimalloc_stats, commits),
    FIELD(trimalloc_stats, releases),
    FIELD(trimalloc_stats, released_bytes),
    FIELD(trimalloc_stats, large_allocations),
    FIELD(trimalloc_stats, large_frees),
    FIELD(trimalloc_stats, remapped_bytes),
    FIELD(trimalloc_stats, idle_drains),
    FIELD(trimalloc_stats, pressure_events),
    FIELD(trimalloc_stats, limit_failures),
    FIELD(trimalloc_stats, scavenger_running),
    FIELD(trimalloc_stats, huge_pages),
    FIELD(trimalloc_stats, caches_by_processor),
};

constexpr Field kGeometry[] = {
    FIELD(trimalloc_class_stats, object_bytes),
    FIELD(trimalloc_class_stats, span_pages),
    FIELD(trimalloc_class_stats, span_objects),
    FIELD(trimalloc_class_stats, batch_objects),
};

constexpr Field kCounts[] = {
    FIELD(trimalloc_class_stats, spans),           FIELD(trimalloc_class_stats, in_use),
    FIELD(trimalloc_class_stats, thread_cached),   FIELD(trimalloc_class_stats, transfer_cached),
    FIELD(trimalloc_class_stats, central_free),    FIELD(trimalloc_class_stats, requested_bytes),
    FIELD(trimalloc_class_stats, requested_count), FIELD(trimalloc_class_stats, refills),
    FIELD(trimalloc_class_stats, flushes),         FIELD(trimalloc_class_stats, span_fetches),
};

#undef FIELD

// A field added to the interface and forgotten here would be missing from every report.
static_assert(offsetof(trimalloc_stats, classes) ==
              2 * sizeof(std::uint32_t) + std::size(kTotals) * sizeof(std::uint64_t));
static_assert(sizeof(trimalloc_class_stats) == std::size(kGeometry) * sizeof(std::uint32_t) +
                                                   std::size(kCounts) * sizeof(std::uint64_t));

template <typename Integer, std::size_t size>
bool add_fields(nb::handle dict, const void* record, const Field (&fields)[size]) {
  for (const Field& field : fields) {
    Integer value;
    std::memcpy(&value, static_cast<const char*>(record) + field.offset, sizeof value);
    nb::object number = nb::steal(PyLong_FromUnsignedLongLong(value));
    if (!number || PyDict_SetItemString(dict.ptr(), field.name, number.ptr()) != 0) return false;
  }
  return true;
}

nb::object class_to_dict(const trimalloc_class_stats& size_class) {
  nb::object dict = nb::steal(PyDict_New());
  if (!dict || !add_fields<std::uint32_t>(dict, &size_class, kGeometry) ||
      !add_fields<std::uint64_t>(dict, &size_class, kCounts)) {
    return {};
  }
  return dict;
}

nb::object to_dict(const trimalloc_stats& snapshot) {
  nb::object dict = nb::steal(PyDict_New());
  nb::object classes = nb::steal(PyList_New(0));
  if (!dict || !classes || !add_fields<std::uint64_t>(dict, &snapshot, kTotals)) return {};
  for (const trimalloc_class_stats& size_class : snapshot.classes) {
    nb::object entry = class_to_dict(size_class);
    if (!entry || PyList_Append(classes.ptr(), entry.ptr()) != 0) return {};
  }
  if (PyDict_SetItemString(dict.ptr(), "classes", classes.ptr()) != 0) return {};
  return dict;
}

}  // namespace

nb::object stats(nb::handle) {
  trimalloc_stats snapshot{};
  snapshot.struct_size = sizeof snapshot;
  int result;
  {
    nb::gil_scoped_release released;  // the walk takes locks that a waiting thread may hold
    result = engine().stats(&snapshot);
  }
  return result == 0 ? to_dict(snapshot) : raise_os_error(EPROTO);
}

nb::object stats_of(nb::handle pid) {
  const long number = PyLong_AsLong(pid.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) return {};
  if (number <= 0 || number > INT32_MAX) return raise_os_error(ESRCH);
  trimalloc_stats snapshot{};
  snapshot.struct_size = sizeof snapshot;
  int error;
  {
    nb::gil_scoped_release released;
    error = engine().stats_of(static_cast<int>(number), &snapshot);
  }
  return error == 0 ? to_dict(snapshot) : raise_os_error(error);
}

}  // namespace trimalloc::bindings

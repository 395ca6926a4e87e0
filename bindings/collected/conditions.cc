#include "bindings/collected/conditions.h"  // Python.h first

#include <cstring>

namespace trimalloc::bindings {
namespace {

template <typename T>
T load(const char* memory) {
  T value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

bool is_whole(Code code) { return code <= Code::kUint64; }
// uint64 does not fit int64: it is compared as a real number, exact up to 2^53.
bool fits_int64(Code code) { return is_whole(code) && code != Code::kUint64; }
bool is_comparable(const Field& field) {
  return !field.is_array &&
         (is_whole(field.code) || field.code == Code::kFloat32 || field.code == Code::kFloat64);
}

int64_t whole_of(const char* memory, Code code) {
  switch (code) {
    case Code::kInt8:
      return load<int8_t>(memory);
    case Code::kInt16:
      return load<int16_t>(memory);
    case Code::kInt32:
      return load<int32_t>(memory);
    case Code::kInt64:
      return load<int64_t>(memory);
    case Code::kUint16:
      return load<uint16_t>(memory);
    case Code::kUint32:
      return load<uint32_t>(memory);
    default:
      return load<uint8_t>(memory);  // kBool, kUint8
  }
}

double real_of(const char* memory, Code code) {
  switch (code) {
    case Code::kFloat32:
      return load<float>(memory);
    case Code::kFloat64:
      return load<double>(memory);
    case Code::kUint64:
      return static_cast<double>(load<uint64_t>(memory));
    default:
      return static_cast<double>(whole_of(memory, code));
  }
}

template <typename T>
bool compare(T left, Comparison comparison, T right) {
  switch (comparison) {
    case Comparison::kLess:
      return left < right;
    case Comparison::kLessEqual:
      return left <= right;
    case Comparison::kEqual:
      return left == right;
    case Comparison::kNotEqual:
      return left != right;
    case Comparison::kGreaterEqual:
      return left >= right;
    default:
      return left > right;
  }
}

}  // namespace

bool Conditions::parse(const RecordInfo& info, PyObject* descriptions) {
  const Py_ssize_t count = PyTuple_GET_SIZE(descriptions);
  if (count > kMost) {
    PyErr_Format(PyExc_ValueError, "at most %zd conditions can be given", kMost);
    return false;
  }
  for (; count_ < count; ++count_) {
    Condition& condition = conditions_[count_];
    PyObject* name = nullptr;
    PyObject* value = nullptr;
    int comparison = 0;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(descriptions, count_), "UiO", &name, &comparison,
                          &value)) {
      return false;
    }
    condition.comparison = static_cast<Comparison>(comparison);
    condition.field = find_field(info, name);
    if (condition.field == nullptr || !is_comparable(*condition.field)) {
      PyErr_Format(PyExc_TypeError,
                   "a condition compares a field of whole numbers, float32 or float64, not %R",
                   name);
      return false;
    }
    condition.real = PyFloat_AsDouble(value);
    if (condition.real == -1.0 && PyErr_Occurred() != nullptr) return false;
    int overflow = 0;
    condition.compares_whole = PyLong_Check(value) && fits_int64(condition.field->code);
    if (condition.compares_whole) {
      condition.whole = PyLong_AsLongLongAndOverflow(value, &overflow);
      condition.compares_whole = overflow == 0;
    }
  }
  return true;
}

// A number that is absent fulfils nothing.
bool Conditions::holds(const Condition& condition, const char* record) {
  const Field& field = *condition.field;
  if (field.presence != 0) {
    const uint32_t bit = field.presence - 1;
    if ((record[bit / 8] >> (bit % 8) & 1) == 0) return false;
  }
  const char* const memory = record + field.offset;
  if (condition.compares_whole) {
    return compare(whole_of(memory, field.code), condition.comparison, condition.whole);
  }
  return compare(real_of(memory, field.code), condition.comparison, condition.real);
}

bool Conditions::hold(const char* record) const {
  for (Py_ssize_t i = 0; i < count_; ++i) {
    if (!holds(conditions_[i], record)) return false;
  }
  return true;
}

}  // namespace trimalloc::bindings

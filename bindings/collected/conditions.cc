#include "bindings/collected/conditions.h"  // Python.h first

#include <cmath>
#include <cstring>

namespace trimalloc::bindings {
namespace {

template <typename T>
T load(const char* memory) {
  T value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

constexpr Whole kAboveAll = Whole{1} << 64;
constexpr Whole kBelowAll = -kAboveAll;

bool is_whole(Code code) { return code <= Code::kUint64; }
bool is_comparable(const Field& field) {
  return !field.is_array &&
         (is_whole(field.code) || field.code == Code::kFloat32 || field.code == Code::kFloat64);
}

Whole whole_of(const char* memory, Code code) {
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
    case Code::kUint64:
      return load<uint64_t>(memory);
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

// Of an int.
bool parse_whole(PyObject* number, Whole* whole) {
  int overflow = 0;
  *whole = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow == 0) return *whole != -1 || PyErr_Occurred() == nullptr;
  *whole = kBelowAll;
  if (overflow < 0) return true;
  *whole = PyLong_AsUnsignedLongLong(number);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    *whole = kAboveAll;
  }
  return true;
}

Whole whole_of_real(double number) {
  if (number >= static_cast<double>(kAboveAll)) return kAboveAll;
  return number <= static_cast<double>(kBelowAll) ? kBelowAll : static_cast<Whole>(number);
}

}  // namespace

// Exact where the field is of whole numbers: what has __index__ is whole, and so is a real number
// without a fraction. One with a fraction is less than 2^53: there a field's number may be rounded.
bool Conditions::parse_number(PyObject* value, Condition* condition) {
  const bool is_exact = is_whole(condition->field->code);
  condition->compares_whole = is_exact && PyIndex_Check(value);
  if (condition->compares_whole) {
    PyObject* const number = PyNumber_Index(value);
    const bool good = number != nullptr && parse_whole(number, &condition->whole);
    Py_XDECREF(number);
    return good;
  }
  condition->real = PyFloat_AsDouble(value);
  if (condition->real == -1.0 && PyErr_Occurred() != nullptr) return false;
  condition->compares_whole = is_exact && condition->real == std::trunc(condition->real);
  if (condition->compares_whole) condition->whole = whole_of_real(condition->real);
  return true;
}

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
    if (!parse_number(value, &condition)) return false;
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

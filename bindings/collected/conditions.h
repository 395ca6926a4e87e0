// Conditions on the numbers of records, checked without the GIL: field, comparison, number.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONDITIONS_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONDITIONS_H_

#include "bindings/collected/state.h"

namespace trimalloc::bindings {

enum class Comparison : int { kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater };

// Holds what int64 and uint64 do, and what is below and above all of that.
__extension__ using Whole = __int128;

// All of a few conditions on records of one class and those derived from it: a derived class has
// the fields of its base where the base has them.
class Conditions {
 public:
  static constexpr Py_ssize_t kMost = 16;

  // A tuple of (field name, Comparison, number). False and an error when it is no good.
  bool parse(const RecordInfo& info, PyObject* descriptions);
  bool hold(const char* record) const;
  bool empty() const { return count_ == 0; }

 private:
  struct Condition {
    const Field* field;
    Comparison comparison;
    double real;
    Whole whole;
    bool compares_whole;  // both sides are whole numbers
  };
  static bool parse_number(PyObject* value, Condition* condition);
  static bool holds(const Condition& condition, const char* record);

  Condition conditions_[kMost];
  Py_ssize_t count_ = 0;
};

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONDITIONS_H_

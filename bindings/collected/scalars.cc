// Numbers between a record's memory and Python: every width of NumPy's.
#include "bindings/collected/state.h"  // Python.h first

#include <cfloat>
#include <cmath>
#include <cstring>

namespace trimalloc::bindings {
namespace {

bool out_of_range(Code code, PyObject* value) {
  PyErr_Format(PyExc_OverflowError, "%R does not fit a field of format '%s' (%zu bytes)", value,
               format_of_code(code), bytes_of_code(code));
  return false;
}

// Whole numbers, and what has __index__; no floats.
template <typename T>
bool write_integer(char* memory, Code code, PyObject* value) {
  PyObject* number = PyLong_CheckExact(value) ? Py_NewRef(value) : PyNumber_Index(value);
  if (number == nullptr) return false;
  bool fits;
  T result;
  if constexpr (std::is_signed_v<T>) {
    int overflow = 0;
    const long long wide = PyLong_AsLongLongAndOverflow(number, &overflow);
    result = static_cast<T>(wide);
    fits = overflow == 0 && result == wide;
  } else {
    const unsigned long long wide = PyLong_AsUnsignedLongLong(number);
    result = static_cast<T>(wide);
    fits = result == wide;
    if (wide == ~0ull && PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      fits = false;
    }
  }
  Py_DECREF(number);
  if (!fits) return out_of_range(code, value);
  store_as(memory, result);
  return true;
}

bool as_double(PyObject* value, double* number) {
  *number = PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value);
  return *number != -1.0 || PyErr_Occurred() == nullptr;
}

double load_half(const char* memory) {
#if PY_VERSION_HEX >= 0x030B0000
  return PyFloat_Unpack2(memory, 1);
#else
  return _PyFloat_Unpack2(reinterpret_cast<const unsigned char*>(memory), 1);
#endif
}

bool store_half(char* memory, double value) {
#if PY_VERSION_HEX >= 0x030B0000
  return PyFloat_Pack2(value, memory, 1) == 0;
#else
  return _PyFloat_Pack2(value, reinterpret_cast<unsigned char*>(memory), 1) == 0;
#endif
}

bool fits_float(double number) { return !std::isfinite(number) || std::fabs(number) <= FLT_MAX; }

template <typename T>
bool write_complex(char* memory, Code code, PyObject* value) {
  const Py_complex number = PyComplex_AsCComplex(value);
  if (number.real == -1.0 && PyErr_Occurred() != nullptr) return false;
  if (sizeof(T) == sizeof(float) && !(fits_float(number.real) && fits_float(number.imag))) {
    return out_of_range(code, value);
  }
  store_as(memory, static_cast<T>(number.real));
  store_as(memory + sizeof(T), static_cast<T>(number.imag));
  return true;
}

// Whether memoryview finds single numbers of that format in its bytes.
bool memoryview_knows(Code code) {
  if (code == Code::kFloat16) return PY_VERSION_HEX >= 0x030C0000;
  return code < Code::kComplex64;
}

PyObject* tuple_of_numbers(PyObject* buffer, Code code) {
  Py_buffer view;
  if (PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) != 0) return nullptr;
  const size_t size = bytes_of_code(code);
  const auto count = static_cast<Py_ssize_t>(static_cast<size_t>(view.len) / size);
  PyObject* tuple = PyTuple_New(count);
  for (Py_ssize_t i = 0; tuple != nullptr && i < count; ++i) {
    const char* const memory = static_cast<const char*>(view.buf) + static_cast<size_t>(i) * size;
    PyObject* const number = read_scalar(memory, code);
    if (number != nullptr) {
      PyTuple_SET_ITEM(tuple, i, number);
    } else {
      Py_CLEAR(tuple);
    }
  }
  PyBuffer_Release(&view);
  return tuple;
}

PyObject* array_or_tuple(PyObject* buffer, Code code) {
  PyObject* const optional = PyImport_ImportModule("trimalloc.optional_numpy");
  PyObject* const numpy =
      optional == nullptr ? nullptr : PyObject_CallMethod(optional, "numpy_or_none", nullptr);
  Py_XDECREF(optional);
  if (numpy == nullptr) return nullptr;
  const char* const type = code == Code::kFloat16 ? "e" : code == Code::kComplex64 ? "F" : "D";
  PyObject* const made = numpy == Py_None
                             ? tuple_of_numbers(buffer, code)
                             : PyObject_CallMethod(numpy, "frombuffer", "Os", buffer, type);
  Py_DECREF(numpy);
  return made;
}

}  // namespace

PyObject* view_of_numbers(PyObject* buffer, Code code) {
  if (buffer == nullptr) return nullptr;
  PyObject* view = nullptr;
  if (memoryview_knows(code)) {
    PyObject* const plain = PyMemoryView_FromObject(buffer);
    if (plain != nullptr && code != Code::kUint8) {
      view = PyObject_CallMethod(plain, "cast", "s", format_of_code(code));
      Py_DECREF(plain);
    } else {
      view = plain;
    }
  } else {
    view = array_or_tuple(buffer, code);
  }
  Py_DECREF(buffer);
  return view;
}

size_t bytes_of_code(Code code) {
  switch (code) {
    case Code::kBool:
    case Code::kInt8:
    case Code::kUint8:
      return 1;
    case Code::kInt16:
    case Code::kUint16:
    case Code::kFloat16:
      return 2;
    case Code::kInt64:
    case Code::kUint64:
    case Code::kFloat64:
    case Code::kComplex64:
      return 8;
    case Code::kComplex128:
      return 16;
    default:
      return 4;  // also references
  }
}

const char* format_of_code(Code code) {
  switch (code) {
    case Code::kBool:
      return "?";
    case Code::kInt8:
      return "b";
    case Code::kInt16:
      return "h";
    case Code::kInt32:
      return "i";
    case Code::kInt64:
      return "q";
    case Code::kUint8:
      return "B";
    case Code::kUint16:
      return "H";
    case Code::kUint64:
      return "Q";
    case Code::kFloat16:
      return "e";
    case Code::kFloat32:
      return "f";
    case Code::kFloat64:
      return "d";
    case Code::kComplex64:
      return "Zf";
    case Code::kComplex128:
      return "Zd";
    default:
      return "I";
  }
}

PyObject* read_scalar(const char* memory, Code code) {
  switch (code) {
    case Code::kBool:
      return PyBool_FromLong(*memory);
    case Code::kInt8:
      return PyLong_FromLong(load_as<int8_t>(memory));
    case Code::kInt16:
      return PyLong_FromLong(load_as<int16_t>(memory));
    case Code::kInt32:
      return PyLong_FromLong(load_as<int32_t>(memory));
    case Code::kInt64:
      return PyLong_FromLong(load_as<int64_t>(memory));
    case Code::kUint8:
      return PyLong_FromLong(load_as<uint8_t>(memory));
    case Code::kUint16:
      return PyLong_FromLong(load_as<uint16_t>(memory));
    case Code::kUint32:
      return PyLong_FromLong(load_as<uint32_t>(memory));
    case Code::kUint64:
      return PyLong_FromUnsignedLong(load_as<uint64_t>(memory));
    case Code::kFloat16:
      return PyFloat_FromDouble(load_half(memory));
    case Code::kFloat32:
      return PyFloat_FromDouble(static_cast<double>(load_as<float>(memory)));
    case Code::kFloat64:
      return PyFloat_FromDouble(load_as<double>(memory));
    case Code::kComplex64:
      return PyComplex_FromDoubles(static_cast<double>(load_as<float>(memory)),
                                   static_cast<double>(load_as<float>(memory + 4)));
    case Code::kComplex128:
      return PyComplex_FromDoubles(load_as<double>(memory), load_as<double>(memory + 8));
    default:
      PyErr_SetString(PyExc_SystemError, "not a number");
      return nullptr;
  }
}

bool write_scalar(char* memory, Code code, PyObject* value) {
  double number = 0;
  switch (code) {
    case Code::kBool: {
      // numpy.bool_ has no __index__ any more, and is no bool.
      const int truth = PyNumber_Check(value) ? PyObject_IsTrue(value) : -1;
      if (truth < 0) {
        if (PyErr_Occurred() == nullptr) {
          PyErr_Format(PyExc_TypeError, "a bool field takes True or False, not %R", value);
        }
        return false;
      }
      *memory = static_cast<char>(truth);
      return true;
    }
    case Code::kInt8:
      return write_integer<int8_t>(memory, code, value);
    case Code::kInt16:
      return write_integer<int16_t>(memory, code, value);
    case Code::kInt32:
      return write_integer<int32_t>(memory, code, value);
    case Code::kInt64:
      return write_integer<int64_t>(memory, code, value);
    case Code::kUint8:
      return write_integer<uint8_t>(memory, code, value);
    case Code::kUint16:
      return write_integer<uint16_t>(memory, code, value);
    case Code::kUint32:
      return write_integer<uint32_t>(memory, code, value);
    case Code::kUint64:
      return write_integer<uint64_t>(memory, code, value);
    case Code::kFloat16:
      return as_double(value, &number) && store_half(memory, number);
    case Code::kFloat32:
      if (!as_double(value, &number)) return false;
      if (!fits_float(number)) return out_of_range(code, value);
      store_as(memory, static_cast<float>(number));
      return true;
    case Code::kFloat64:
      if (!as_double(value, &number)) return false;
      store_as(memory, number);
      return true;
    case Code::kComplex64:
      return write_complex<float>(memory, code, value);
    case Code::kComplex128:
      return write_complex<double>(memory, code, value);
    default:
      PyErr_SetString(PyExc_SystemError, "not a number");
      return false;
  }
}

}  // namespace trimalloc::bindings

// The memory limit and the named settings, with the interface's error values as exceptions.
#include <cerrno>

#include "bindings/engine.h"
#include "bindings/functions.h"

namespace trimalloc::bindings {
namespace {

// Longest value that a setting's text has; the longest is a 20-digit size.
constexpr std::size_t kSettingTextBytes = 64;

nb::object describe_setting(const char* name, const char* help) {
  char text[kSettingTextBytes] = "";
  if (engine().get_setting(name, text, sizeof text) < 0) return raise_os_error(ENOENT);
  return nb::steal(Py_BuildValue("(ss)", text, help != nullptr ? help : ""));
}

}  // namespace

nb::object set_limit(nb::handle hard_and_soft) {
  Py_ssize_t hard;
  Py_ssize_t soft;
  if (!PyArg_ParseTuple(hard_and_soft.ptr(), "nn:set_limit", &hard, &soft)) return {};
  if (hard < 0 || soft < 0) return raise_os_error(EINVAL);
  const int error =
      engine().set_limit(static_cast<std::size_t>(hard), static_cast<std::size_t>(soft));
  return error == 0 ? none() : raise_os_error(error);
}

nb::object get_setting(nb::handle name) {
  const char* text_name = PyUnicode_AsUTF8(name.ptr());
  if (text_name == nullptr) return {};
  char text[kSettingTextBytes] = "";
  if (engine().get_setting(text_name, text, sizeof text) < 0) return raise_os_error(ENOENT);
  return nb::steal(PyUnicode_FromString(text));
}

nb::object set_setting(nb::handle name_and_text) {
  const char* name;
  const char* text;
  if (!PyArg_ParseTuple(name_and_text.ptr(), "ss:set_setting", &name, &text)) return {};
  const int error = engine().set_setting(name, text);
  return error == 0 ? none() : raise_os_error(error);
}

nb::object settings(nb::handle) {
  nb::object dict = nb::steal(PyDict_New());
  if (!dict) return {};
  for (unsigned index = 0; const char* name = engine().setting_name(index); ++index) {
    nb::object entry = describe_setting(name, engine().setting_help(index));
    if (!entry || PyDict_SetItemString(dict.ptr(), name, entry.ptr()) != 0) return {};
  }
  return dict;
}

}  // namespace trimalloc::bindings

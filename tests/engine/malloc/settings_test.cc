// The settings table: names, values, and what is said about those that cannot be.
#include "engine/frontends/malloc/settings.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

std::string value_of(const char* name) {
  char text[64];
  const int length = get_setting(name, text, sizeof text);
  CHECK_EQ(length, static_cast<int>(strlen(text)));
  return text;
}

// What is written to stderr about an environment of one variable.
std::string complaint_about(const char* name, const char* value) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int before = dup(2);
  dup2(ends[1], 2);
  setenv(name, value, 1);
  read_settings_from_environment(true);
  unsetenv(name);
  dup2(before, 2);
  close(ends[1]);
  char text[4096] = {};
  CHECK(read(ends[0], text, sizeof text - 1) >= 0);
  return text;
}

CASE(SizesTakeUnits) {
  struct {
    const char* text;
    const char* bytes;
  } const sizes[] = {
      {"0", "0"},           {"1048576", "1048576"}, {"512k", "524288"},     {"512M", "536870912"},
      {"2g", "2147483648"}, {"2GB", "2147483648"},  {"2GiB", "2147483648"}, {"1T", "1099511627776"},
      {"100b", "100"}};
  for (const auto& [text, bytes] : sizes) {
    CHECK_EQ(store_setting("limit", text), 0);
    CHECK(value_of("limit") == bytes);
  }
}

CASE(WhatIsNoSizeIsRefusedAndChangesNothing) {
  CHECK_EQ(store_setting("limit", "3M"), 0);
  for (const char* text : {"", "x", "-1", "1.5G", "12Q", "12MM", "12 M", "M", "0x10", "1Mi5",
                           "99999999999999999999", "99999999999T"}) {
    CHECK_EQ(store_setting("limit", text), EINVAL);
  }
  CHECK(value_of("limit") == "3145728");
}

CASE(NumbersAndFlagsHaveTheirRanges) {
  CHECK_EQ(store_setting("release_delay_ms", "5"), 0);
  CHECK_EQ(store_setting("release_delay_ms", "5k"), EINVAL);
  CHECK_EQ(store_setting("release_delay_ms", "4294967296"), EINVAL);
  CHECK_EQ(store_setting("scavenger", "0"), 0);
  CHECK_EQ(store_setting("scavenger", "2"), EINVAL);
  CHECK_EQ(store_setting("scavenger", "yes"), EINVAL);
}

CASE(WhatIsReadAtStartOnlyCannotBeSetLater) {
  for (const char* name : {"arena", "check", "follow", "mode"}) {
    CHECK_EQ(store_setting(name, "1"), EACCES);
  }
}

CASE(UnknownNamesAreSaidToBe) {
  char text[8];
  CHECK_EQ(store_setting("limits", "1"), ENOENT);
  CHECK_EQ(get_setting("limits", text, sizeof text), -1);
  CHECK_EQ(get_setting("", text, sizeof text), -1);
}

CASE(EveryListedSettingHasANameAHelpTextAndAValue) {
  unsigned count = 0;
  for (; setting_name(count) != nullptr; ++count) {
    CHECK(strlen(setting_help(count)) > 10);
    CHECK(!value_of(setting_name(count)).empty());
  }
  CHECK(count >= 12 && setting_help(count) == nullptr);
}

CASE(ALongValueIsCutToTheCallersRoom) {
  CHECK_EQ(store_setting("limit", "1T"), 0);
  char text[4];
  CHECK_EQ(get_setting("limit", text, sizeof text), 3);
  CHECK(strcmp(text, "109") == 0);
}

CASE(TheEnvironmentIsRead) {
  CHECK(complaint_about("TRIMALLOC_RELEASE_DELAY_MS", "77").empty());
  CHECK(value_of("release_delay_ms") == "77");
  CHECK(complaint_about("TRIMALLOC_MODE", "arena").empty());
  CHECK(value_of("mode") == "arena");
}

CASE(ATypoIsReportedWithTheNearestName) {
  CHECK(complaint_about("TRIMALLOC_LIMT", "1G") ==
        "trimalloc: TRIMALLOC_LIMT is not a setting; did you mean TRIMALLOC_LIMIT?\n");
  CHECK(contains(complaint_about("TRIMALLOC_THREADCACHE_MAX", "1"), "TRIMALLOC_THREAD_CACHE_MAX?"));
}

CASE(ANameThatIsNearNothingIsReportedToo) {
  const std::string words = complaint_about("TRIMALLOC_XYZZY_QUUX_PLUGH", "1");
  CHECK(contains(words, "TRIMALLOC_XYZZY_QUUX_PLUGH is not a setting") && words.back() == '\n');
}

CASE(ABadValueIsReportedAndIgnored) {
  CHECK(complaint_about("TRIMALLOC_LIMIT", "lots") ==
        "trimalloc: TRIMALLOC_LIMIT=lots is ignored: it takes a size such as 512M or 2G\n");
  CHECK(value_of("limit") == "0");
}

CASE(AVeryLongValueStillEndsTheLine) {
  const std::string words = complaint_about("TRIMALLOC_LIMIT", std::string(1000, 'x').c_str());
  CHECK(contains(words, "trimalloc: TRIMALLOC_LIMIT=") && words.back() == '\n');
}

CASE(AVeryLongNameStillEndsTheLine) {
  const std::string name = "TRIMALLOC_" + std::string(1000, 'X');
  CHECK(complaint_about(name.c_str(), "1").back() == '\n');
}

CASE(OtherNamesOfTheFamilyAreNoTypos) {
  CHECK(complaint_about("TRIMALLOC_LIBRARY", "/tmp/x.so").empty());
}

}  // namespace
}  // namespace tri::testing

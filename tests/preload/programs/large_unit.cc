// Something for a compiler to chew on: templates, containers, algorithms, exceptions.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N>
struct Chain {
  std::map<std::string, std::tuple<int, std::vector<Chain<N - 1>>>> links;
  std::variant<int, std::string, std::unique_ptr<Chain<N - 1>>> value;
  int depth() const { return 1 + Chain<N - 1>{}.depth(); }
};

template <>
struct Chain<0> {
  int depth() const { return 0; }
};

template <std::size_t... I>
int sum_of(std::index_sequence<I...>) {
  return (0 + ... + static_cast<int>(I * I));
}

int main() {
  const std::regex words("([a-z]+)(-[0-9]{2,4})?");
  std::unordered_map<std::string, std::set<int>> index;
  std::ostringstream text;
  for (int i = 0; i < 100; i++) index["word-" + std::to_string(i)].insert(i);
  for (const auto& [word, places] : index)
    text << std::regex_replace(word, words, "$1") << *places.begin();
  std::cout << Chain<40>{}.depth() << sum_of(std::make_index_sequence<200>{}) << "\n";
}

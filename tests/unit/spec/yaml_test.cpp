#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <gtest/gtest.h>

namespace mlc {
namespace {

struct Read {
  Sources sources;
  Diagnostics faults{sources};
  Node node;
  explicit Read(const std::string& text) { node = parse_yaml(sources, sources.add("t.yaml", text), faults); }
};

TEST(Yaml, FollowsTheCoreSchema) {
  Read r("a: 1e-3\nb: no\nc: 0o10\nd: 010\ne: true\nf: ~\ng: '1'\nh: 0x1F\ni: .inf\nj: 1_000\n");
  ASSERT_EQ(r.faults.errors(), 0u) << r.faults.render();
  EXPECT_EQ(r.node.find("a")->number(), 1e-3);
  EXPECT_EQ(r.node.find("b")->kind, Node::Kind::text);
  EXPECT_EQ(r.node.find("c")->integer(), 8);
  EXPECT_EQ(r.node.find("d")->integer(), 10);
  EXPECT_TRUE(r.node.find("e")->boolean());
  EXPECT_EQ(r.node.find("f")->kind, Node::Kind::null);
  EXPECT_EQ(r.node.find("g")->kind, Node::Kind::text);
  EXPECT_EQ(r.node.find("h")->integer(), 31);
  EXPECT_EQ(r.node.find("i")->kind, Node::Kind::real);
  EXPECT_EQ(r.node.find("j")->kind, Node::Kind::text);
}

TEST(Yaml, KnowsThePlaceOfEveryToken) {
  Read r("ä: [x, \"y z\"]\nmap:\n  key: value\n");
  const Node& list = r.node.entries[0].second;
  EXPECT_EQ(list.items[0].loc, (Loc{1, 1, 5, 1}));
  EXPECT_EQ(list.items[1].loc, (Loc{1, 1, 8, 5}));
  const auto& [key, value] = r.node.find("map")->entries[0];
  EXPECT_EQ(key.loc, (Loc{1, 3, 3, 3}));
  EXPECT_EQ(value.loc, (Loc{1, 3, 8, 5}));
}

TEST(Yaml, AcceptsCarriageReturns) {
  Read r("a: 1\r\nb: two\r\n");
  ASSERT_EQ(r.faults.errors(), 0u);
  EXPECT_EQ(r.node.find("b")->text, "two");
}

TEST(Yaml, BoundsAliases) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    std::string before = "*a" + std::to_string(i - 1), name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [" + before + ", " + before + ", " + before + ", " + before + ", " + before + ", " + before + ", " +
            before + ", " + before + ", " + before + ", " + before + "]\n";
  }
  Read r(bomb);
  EXPECT_EQ(r.faults.errors(), 1u);
}

TEST(Yaml, BoundsNesting) {
  Read r(std::string(300, '[') + std::string(300, ']'));
  EXPECT_EQ(r.faults.errors(), 1u);
}

TEST(Spec, PrintReadsBack) {
  Read r("name: \"a: b\"\nlist: [1, \"2\", x]\nmap: {k: 'no', e: [], n: [[1, 2], [3]]}\ntext: \"two\\nlines\"\nitems: [{linear: 3}, relu, "
         "{op: {a: 1, b: [2]}, as: h}]\n");
  std::string once = print_spec(r.node, false, r.sources);
  Read again(once);
  ASSERT_EQ(again.faults.errors(), 0u) << once << again.faults.render();
  EXPECT_EQ(print_spec(again.node, false, again.sources), once);
  EXPECT_EQ(again.node.find("text")->text, "two\nlines");
  EXPECT_EQ(again.node.find("list")->items[1].kind, Node::Kind::text);
}

}  // namespace
}  // namespace mlc

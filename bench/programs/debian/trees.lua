-- Trees built and dropped while a long-lived one stays, then strings and tables that grow.
local depth = tonumber(arg[1])

local function tree(levels)
  if levels == 0 then return {} end
  return { tree(levels - 1), tree(levels - 1) }
end

local function count(node)
  if not node[1] then return 1 end
  return 1 + count(node[1]) + count(node[2])
end

local kept = tree(depth)
local nodes = 0
for level = 4, depth, 2 do
  for _ = 1, 1 << (depth - level) do nodes = nodes + count(tree(level)) end
end

local words = {}
for number = 1, 300000 do
  words[number] = "word " .. (number * 7919) % 100003 .. ("x"):rep(number % 40)
end
table.sort(words)
local seen, distinct = {}, 0
for _, word in ipairs(words) do
  if not seen[word] then seen[word], distinct = true, distinct + 1 end
end
print(nodes, count(kept), distinct, #table.concat(words, "\n"))

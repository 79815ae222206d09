-- Moves fences of one shard, each if it is as expected. KEYS: the fences. ARGV: for each, the expected and the new one.
-- Returns the fences found. What merge.lua does to a shard without any delta, for many sources in one call.
local found = {}
for i = 1, #KEYS do
  local fence = redis.call('GET', KEYS[i]) or '-1'
  if fence == ARGV[2 * i - 1] then redis.call('SET', KEYS[i], ARGV[2 * i]) end
  found[i] = tonumber(fence)
end
return found

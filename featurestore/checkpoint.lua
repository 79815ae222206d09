-- Replaces a checkpoint if it still has the version that the writer read.
-- KEYS[1]: the checkpoint, a hash. ARGV: version read, version written, writer, then field and value in turn ("" removes).
-- Returns 1 where this writer's version stands now, 0 where another has written since. Sent twice, it does the same.
local held = redis.call('HMGET', KEYS[1], 'version', 'writer')
if held[1] == ARGV[2] and held[2] == ARGV[3] then return 1 end
if (held[1] or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'writer', ARGV[3])
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1

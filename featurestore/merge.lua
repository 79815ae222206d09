-- Adds the deltas of one shard's entities to their states, if the shard's fence is as expected, and moves the fence.
-- KEYS: the fence, then one state an entity. ARGV: expected fence, new fence, slots of a tile (a letter each: + < >),
-- tiles of each window's ring (comma-separated), deltas as featurestore.kernel.pack writes them, one after the other.
-- Returns the fence found. Reads and checks everything before it writes anything, because a failing script is not undone.
-- The layout is featurestore/layout.py's; the arithmetic is on doubles, so that the bytes equal the kernel's.
local found = redis.call('GET', KEYS[1]) or '-1'
if found ~= ARGV[1] then return tonumber(found) end

local ops, rings, deltas = ARGV[3], {}, ARGV[5]
for ring in string.gmatch(ARGV[4], '%d+') do rings[#rings + 1] = tonumber(ring) end
local width = #ops
local blank = ''
for s = 1, width do
  local op = string.sub(ops, s, s)
  blank = blank .. struct.pack('<d', op == '+' and 0 or (op == '<' and math.huge or -math.huge))
end
local cell_format, cell_bytes = '<' .. string.rep('d', width), 8 * width
local header_bytes = 8 * (2 + #rings)
local tiles = 0
for w = 1, #rings do tiles = tiles + rings[w] end
local empty = struct.pack('<dd', 1, -math.huge) .. string.rep(struct.pack('<d', -math.huge), #rings) .. string.rep(blank, tiles)

local states = {}
for first = 2, #KEYS, 1000 do
  local part = redis.call('MGET', unpack(KEYS, first, math.min(first + 999, #KEYS)))
  for i = 1, #part do
    if part[i] and #part[i] ~= #empty then
      return redis.error_reply('LAYOUT ' .. KEYS[first + i - 1] .. ' has ' .. #part[i] .. ' bytes, not ' .. #empty)
    end
    states[first + i - 1] = part[i]
  end
end

local at = 1
for key = 2, #KEYS do
  local state = states[key]
  if not state then
    state = empty
    redis.call('SET', KEYS[key], empty)
  end
  local newest
  newest, at = struct.unpack('<d', deltas, at)
  local header = { struct.unpack('<' .. string.rep('d', 2 + #rings), state) }
  if newest > header[2] then header[2] = newest end
  local start = header_bytes
  for w = 1, #rings do
    local ring, head, count = rings[w], header[2 + w], nil
    count, at = struct.unpack('<d', deltas, at)
    local fresh = {} -- tiles this merge has cleared: what `state` holds of them is stale
    for _ = 1, count do
      local tile = struct.unpack('<d', deltas, at)
      if tile > head then
        if head > -math.huge then
          for t = math.max(head + 1, tile - ring + 1), tile do
            fresh[t % ring] = true
            if t < tile then redis.call('SETRANGE', KEYS[key], start + (t % ring) * cell_bytes, blank) end
          end
        end
        head = tile
      end
      if tile > head - ring then
        local position = tile % ring
        local mine = { struct.unpack(cell_format, fresh[position] and blank or state, fresh[position] and 1 or start + position * cell_bytes + 1) }
        local theirs = { struct.unpack(cell_format, deltas, at + 8) }
        for s = 1, width do
          local op = string.byte(ops, s)
          if op == 43 then mine[s] = mine[s] + theirs[s]
          elseif op == 60 then if theirs[s] < mine[s] then mine[s] = theirs[s] end
          elseif theirs[s] > mine[s] then mine[s] = theirs[s] end
        end
        redis.call('SETRANGE', KEYS[key], start + position * cell_bytes, struct.pack(cell_format, unpack(mine, 1, width)))
      end
      at = at + 8 + cell_bytes
    end
    header[2 + w] = head
    start = start + ring * cell_bytes
  end
  redis.call('SETRANGE', KEYS[key], 0, struct.pack('<' .. string.rep('d', 2 + #rings), unpack(header, 1, 2 + #rings)))
end
redis.call('SET', KEYS[1], ARGV[2])
return tonumber(found)

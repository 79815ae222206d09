-- Adds the deltas of entities to their states, shard by shard: if a shard's fences are as expected, and moves the fences.
-- KEYS: of each shard the fence of each source that adds to it, then one state an entity. ARGV: slots of a tile (a letter each,
-- by layout.Op: + < > ^ .), tiles of each window's ring (comma-separated), where states live for a time milliseconds (0: for ever;
-- empty: left as it is), the window that renews them when its newest tile moves on; then of each shard: number of sources, number
-- of entities, of each source the expected and the new fence, and deltas as featurestore.kernel.pack writes them, one after the
-- other.
-- Returns of each shard the fences found, and the number of events that came too late (counted by window). Reads and checks
-- everything of a shard before it writes anything of it, because a failing script is not undone.
-- The layout is featurestore/layout.py's; the arithmetic is on doubles, so that the bytes equal the kernel's.
local call, pack, unpack_at = redis.call, struct.pack, struct.unpack
local rings, ruler = {}, tonumber(ARGV[4])
local ttl = ARGV[3] ~= '' and ARGV[3] or nil
for ring in string.gmatch(ARGV[2], '%d+') do rings[#rings + 1] = tonumber(ring) end
local width, windows = #ARGV[1], #rings
local ops = { string.byte(ARGV[1], 1, width) }
local blank = ''
for s = 1, width do blank = blank .. pack('<d', ops[s] == 43 and 0 or (ops[s] == 60 and math.huge or -math.huge)) end
local cell_format, cell_bytes = '<' .. string.rep('d', width), 8 * width
local header_format, header_bytes = '<' .. string.rep('d', 2 + windows), 8 * (2 + windows)
local tile_format = '<d' .. string.rep('d', width) -- a packed tile: its number, then its slots
local tiles = 0
for w = 1, windows do tiles = tiles + rings[w] end
local empty = pack('<dd', 1, -math.huge) .. string.rep(pack('<d', -math.huge), windows) .. string.rep(blank, tiles)

-- A leader (94) and the followers (46) behind it are taken over together, if they are the larger tuple. Theirs begin at 2.
local function follow(mine, theirs, ops, leader)
  local last = leader
  while ops[last + 1] == 46 do last = last + 1 end
  for s = leader, last do
    if theirs[s + 1] ~= mine[s] then
      if theirs[s + 1] > mine[s] then
        for k = leader, last do mine[k] = theirs[k + 1] end
      end
      return
    end
  end
end

-- Of the fences from `fence` on and the states from `first` to `last`; ARGV[given] is the first expected fence. Tells `answers` the
-- fences found and the number that came too late; returns an error if there is one.
local function merge(fence, first, last, given, deltas, answers)
  local call, pack, unpack_at, ops, width, rings, windows = call, pack, unpack_at, ops, width, rings, windows -- quicker than upvalues
  local states, expected = {}, true
  for from = fence, last, 1000 do
    local part = call('MGET', unpack(KEYS, from, math.min(from + 999, last)))
    for i = 1, #part do
      local key, value = from + i - 1, part[i]
      if key < first then
        value = value or '-1'
        expected = expected and value == ARGV[given + 2 * (key - fence)]
        answers[#answers + 1] = tonumber(value)
      elseif value and #value ~= #empty then
        return 'LAYOUT ' .. KEYS[key] .. ' has ' .. #value .. ' bytes, not ' .. #empty
      else
        states[key] = value
      end
    end
  end
  local at, dropped = 1, 0
  for key = first, expected and last or 0 do
    local name, state = KEYS[key], states[key]
    if not state then
      state = empty
      if ttl and ttl ~= '0' then call('SET', name, empty, 'PX', ttl) else call('SET', name, empty) end
    end
    local newest
    newest, at = unpack_at('<d', deltas, at)
    local header = { unpack_at(header_format, state) }
    if newest > header[2] then header[2] = newest end
    local start = header_bytes
    for w = 1, windows do
      local ring, head, count = rings[w], header[2 + w], nil
      count, at = unpack_at('<d', deltas, at)
      local fresh -- tiles this merge has cleared: what `state` holds of them is stale
      for _ = 1, count do
        local theirs = { unpack_at(tile_format, deltas, at) }
        local tile = theirs[1]
        if tile > head then
          if head > -math.huge then
            fresh = fresh or {}
            for t = math.max(head + 1, tile - ring + 1), tile do
              fresh[t % ring] = true
              if t < tile then call('SETRANGE', name, start + (t % ring) * cell_bytes, blank) end
            end
          end
          head = tile
        end
        if tile > head - ring then
          local position = tile % ring
          local place = start + position * cell_bytes
          local mine
          if fresh and fresh[position] then
            mine = { unpack_at(cell_format, blank) }
          else
            mine = { unpack_at(cell_format, state, place + 1) }
          end
          for s = 1, width do
            local op, added = ops[s], theirs[s + 1]
            if op == 43 then mine[s] = mine[s] + added
            elseif op == 60 then if added < mine[s] then mine[s] = added end
            elseif op == 62 then if added > mine[s] then mine[s] = added end
            elseif op == 94 then follow(mine, theirs, ops, s) end
          end
          call('SETRANGE', name, place, pack(cell_format, unpack(mine, 1, width)))
        else
          dropped = dropped + theirs[2] -- slot 0 counts events
        end
        at = at + 8 + cell_bytes
      end
      if w == ruler and head > header[2 + w] and header[2 + w] > -math.huge then
        if ttl == '0' then call('PERSIST', name) else call('PEXPIRE', name, ttl) end
      end
      header[2 + w] = head
      start = start + ring * cell_bytes
    end
    call('SETRANGE', name, 0, pack(header_format, unpack(header, 1, 2 + windows)))
  end
  for key = fence, expected and first - 1 or 0 do call('SET', KEYS[key], ARGV[given + 2 * (key - fence) + 1]) end
  answers[#answers + 1] = dropped
end

local answers, fence, at = {}, 1, 5
while at <= #ARGV do
  local sources = tonumber(ARGV[at])
  local first = fence + sources
  local last = first + tonumber(ARGV[at + 1]) - 1
  local deltas = at + 2 + 2 * sources
  local failed = merge(fence, first, last, at + 2, ARGV[deltas], answers)
  if failed then return redis.error_reply(failed) end
  fence, at = last + 1, deltas + 1
end
return answers

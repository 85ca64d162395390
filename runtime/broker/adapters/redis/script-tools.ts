/**
 * Lua that the scripts share: what a subscription's scripts begin with, records of what became of a message, limits of what is retained.
 *
 * Owns: reading and writing the state of keys, tries and records. Keys and fields are explained in `redis-keys.ts`.
 *
 * Invariants:
 * ST1. A message's record is in `r` since it was accepted or changed, later in `r-`; one that is open is moved to `o` before `r-` is dropped,
 *      and stays there until it changes. It is found in the first of them that has it, and is the mark by which a second message of this
 *      id is known.
 * ST2. As long as anything may be open, `r` and `r-` have no time to live.
 */

/** Records: `open` and then, for each subscription, a line `name state at attempt more`; or `=id`, for a duplicate by idempotency key. */
export const RECORD_TOOLS = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local nowText = text(now)
local o, r, rOld, w = P .. 'o', P .. 'r', P .. 'r-', P .. 'w'
local function recordOf(id)
  return redis.call('HGET', r, id) or redis.call('HGET', rOld, id) or redis.call('HGET', o, id)
end
local anyWaiter, anyMoved = redis.call('EXISTS', w) == 1, redis.call('EXISTS', o) == 1
local function tellWaiters(id, waiters)
  redis.call('HDEL', w, id)
  for process in string.gmatch(waiters, '[^,]+') do redis.call('PUBLISH', P .. '!s:' .. process, id) end
end
local function keepRecord(id, open, lines)
  redis.call('HSET', r, id, open .. lines)
  if anyMoved then redis.call('HDEL', o, id) end
  if open > 0 then redis.call('PERSIST', r) return end
  local waiters = anyWaiter and redis.call('HGET', w, id)
  if waiters then tellWaiters(id, waiters) end
end
-- Drops what is retained beyond limits, where there are any.
local function trim(kept, messages, ageMs)
  if messages then redis.call('XTRIM', kept, 'MAXLEN', messages) end
  if ageMs then redis.call('XTRIM', kept, 'MINID', text(math.max(0, now - ageMs))) end
end
-- A frame is "length of the header, newline, header, payload".
local function idOf(frame)
  local length, from = string.match(frame, '^(%d+)\\n()')
  local ok, header = pcall(cjson.decode, string.sub(frame, from or 1, (from or 1) + (length or 0) - 1))
  return ok and type(header) == 'table' and type(header[1]) == 'string' and header[1] or ''
end
`;

/** What the scripts of one subscription begin with. ARGV: subscription, consumer, order. */
export const SUBSCRIPTION_TOOLS = `${RECORD_TOOLS}
local sub, me, hold = ARGV[1], ARGV[2], ARGV[3] == 'hold'
local q, y, d, a, l, c = P .. 'q:' .. sub, P .. 'y:' .. sub, P .. 'd:' .. sub, P .. 'a:' .. sub, P .. 'l:' .. sub, P .. 'c:' .. sub
local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 9 - #seq) .. seq
end
local function plain(id) return (string.gsub(string.gsub(id, '^0+(%d)', '%1'), '-0+(%d)', '-%1')) end

-- The state of keys, read once and written once a call.
local keys, keysChanged = {}, {}
local function learnKey(key, kept)
  local owner, count, held, waiting = string.match(kept or '', '^(.*)\\t(%d+)\\t(%d+)\\t(%d+)$')
  local state = {owner = owner or '', count = tonumber(count or 0), held = tonumber(held or 0), waiting = tonumber(waiting or 0)}
  keys[key] = state
  return state
end
local function keyState(key) return keys[key] or learnKey(key, redis.call('HGET', l, key)) end
local function readKeys(wanted)
  for from = 1, #wanted, 1000 do
    local some = {unpack(wanted, from, math.min(#wanted, from + 999))}
    for i, kept in ipairs(redis.call('HMGET', l, unpack(some))) do learnKey(some[i], kept) end
  end
end
local function changed(key) keysChanged[key] = true end
local function saveKeys()
  local kept, gone = {}, {}
  for key in pairs(keysChanged) do
    local s = keys[key]
    if s.count <= 0 and s.waiting <= 0 and s.held > 0 then
      local popped = redis.call('ZPOPMIN', P .. 'h:' .. sub .. ':' .. key, 128)
      for i = 1, #popped, 2 do redis.call('ZADD', y, 0, popped[i]) end
      s.held = s.held - #popped / 2
      if #popped == 0 then s.held = 0 end
    end
    if s.count <= 0 then s.owner = '' end
    if s.count <= 0 and s.waiting <= 0 and s.held <= 0 then gone[#gone + 1] = key
    else
      kept[#kept + 1] = key
      kept[#kept + 1] = s.owner .. '\\t' .. s.count .. '\\t' .. s.held .. '\\t' .. s.waiting
    end
  end
  for from = 1, #kept, 1000 do redis.call('HSET', l, unpack(kept, from, math.min(#kept, from + 999))) end
  for from = 1, #gone, 1000 do redis.call('HDEL', l, unpack(gone, from, math.min(#gone, from + 999))) end
end

local function tries(id)
  local attempt, first, redrives, holds, lost = string.match(redis.call('HGET', a, id) or '', '^(%d+)\\t(%d+)\\t(%d+)\\t(%d)\\t(%d+)$')
  return {attempt = tonumber(attempt or 1), first = tonumber(first or 0), redrives = tonumber(redrives or 0), holds = holds == '1', lost = tonumber(lost or 0)}
end
local function saveTries(id, t)
  redis.call('HSET', a, id, t.attempt .. '\\t' .. text(t.first) .. '\\t' .. t.redrives .. '\\t' .. (t.holds and '1' or '0') .. '\\t' .. t.lost)
end
local function park(id) redis.call('XCLAIM', q, 'g', '#', 0, id, 'JUSTID') end
-- The key of an entry's fields; false for what is no message of ours.
local keyOfField = {}
local function keyIn(f)
  if not f or not f[1] or (f[3] and f[3] ~= 'b') then return false end
  local key = keyOfField[f[1]]
  if key == nil then
    local kind = string.sub(f[1], 1, 1)
    key = (kind == 'a' or kind == 'm') and string.sub(f[1], 2)
    keyOfField[f[1]] = key
  end
  return key
end
local function bury(frame, key, message, reason, error, attempt, first, redrives)
  redis.call('HINCRBY', P .. 'xc', sub, 1)
  return redis.call('XADD', P .. 'x', '*', 'm', frame, 'k', key, 'i', message, 's', sub, 'r', reason, 'e', error,
    'a', attempt, 'f', first, 't', nowText, 'd', redrives)
end
local function keyOf(id)
  local entry = redis.call('XRANGE', q, id, id)[1]
  return entry and keyIn(entry[2])
end

-- A consumer's seat: when it was seen, its epoch, whether its presence can be seen. Another epoch: something was taken from it.
local function seatOf(consumer)
  local seen, epoch, present = string.match(redis.call('HGET', c, consumer) or '', '^(%d+)\\t(%d+)\\t(%d)$')
  return tonumber(seen), epoch, present
end
local function newEpoch() return text(redis.call('INCR', P .. 'ep')) end

-- What became of a message here.
local function note(id, state, attempt, more, settles)
  local left, rest = string.match(recordOf(id) or '', '^(%d+)(.*)$')
  if not left then return end
  local line = sub .. '\\t' .. state .. '\\t' .. nowText .. '\\t' .. attempt .. '\\t' .. more
  local open, found, lines = tonumber(left), false, ''
  for old in string.gmatch(rest, '[^\\n]+') do
    local name, was = string.match(old, '^([^\\t]*)\\t(%a)')
    if name == sub then
      found = true
      if settles and was ~= 'h' and was ~= 'x' then open = open - 1 end
      old = line
    end
    lines = lines .. '\\n' .. old
  end
  if found then keepRecord(id, open, lines) end
end
`;

/**
 * The scripts by which messages are handed out, settled, and taken from consumers that are gone.
 *
 * Owns: who may have which message. Keys and fields are explained in `redis-keys.ts`.
 *
 * Invariants:
 * DS1. Messages of one key are with one consumer at a time, in the order in which they were accepted, also through retries: with
 *      `order: 'hold'`, over all processes.
 * DS2. An entry is handed out from `y`, `d` or the stream's new ones, and nowhere else; what may not go is put into `h`, and comes back
 *      to `y` when its key is free.
 * DS3. `settle` and `giveBack` change only what is still with that consumer, by that hand-out: repeated, they change nothing.
 */

const TOOLS = `
local P = KEYS[1]
local sub, me, hold = ARGV[1], ARGV[2], ARGV[3] == 'hold'
local q, y, d, a, l = P .. 'q:' .. sub, P .. 'y:' .. sub, P .. 'd:' .. sub, P .. 'a:' .. sub, P .. 'l:' .. sub
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local nowText = text(now)
local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 9 - #seq) .. seq
end
local function plain(id) return (string.gsub(string.gsub(id, '^0+(%d)', '%1'), '-0+(%d)', '-%1')) end

-- The state of keys, read once and written once a call.
local keys, keysChanged = {}, {}
local function keyState(key)
  local state = keys[key]
  if state then return state end
  local owner, count, held, waiting = string.match(redis.call('HGET', l, key) or '', '^(.*)\\t(%d+)\\t(%d+)\\t(%d+)$')
  state = {owner = owner or '', count = tonumber(count or 0), held = tonumber(held or 0), waiting = tonumber(waiting or 0)}
  keys[key] = state
  return state
end
local function changed(key) keysChanged[key] = true end
local function saveKeys()
  for key in pairs(keysChanged) do
    local s = keys[key]
    if s.count <= 0 and s.waiting <= 0 and s.held > 0 then
      local popped = redis.call('ZPOPMIN', P .. 'h:' .. sub .. ':' .. key, 128)
      for i = 1, #popped, 2 do redis.call('ZADD', y, 0, popped[i]) end
      s.held = s.held - #popped / 2
      if #popped == 0 then s.held = 0 end
    end
    if s.count <= 0 then s.owner = '' end
    if s.count <= 0 and s.waiting <= 0 and s.held <= 0 then redis.call('HDEL', l, key)
    else redis.call('HSET', l, key, s.owner .. '\\t' .. s.count .. '\\t' .. s.held .. '\\t' .. s.waiting) end
  end
end

local function tries(id)
  local attempt, first, redrives, holds = string.match(redis.call('HGET', a, id) or '', '^(%d+)\\t(%d+)\\t(%d+)\\t(%d)$')
  return {attempt = tonumber(attempt or 1), first = tonumber(first or 0), redrives = tonumber(redrives or 0), holds = holds == '1'}
end
local function saveTries(id, t)
  redis.call('HSET', a, id, t.attempt .. '\\t' .. text(t.first) .. '\\t' .. t.redrives .. '\\t' .. (t.holds and '1' or '0'))
end
local function park(id) redis.call('XCLAIM', q, 'g', '#', 0, id, 'JUSTID') end
local function isOurs(f) return f and f[1] == 'h' and f[3] == 'p' and f[5] == 'k' and f[7] == 'i' end
local function bury(header, payload, key, message, reason, error, attempt, first, redrives)
  redis.call('HINCRBY', P .. 'xc', sub, 1)
  return redis.call('XADD', P .. 'x', '*', 'h', header, 'p', payload, 'k', key, 'i', message, 's', sub, 'r', reason, 'e', error,
    'a', attempt, 'f', first, 't', text(now), 'd', redrives)
end
local function keyOf(id)
  local entry = redis.call('XRANGE', q, id, id)[1]
  if entry and isOurs(entry[2]) then return entry[2][6] end
end

-- A receipt: "token at left", then a line for each subscription: "name state at attempt more". Old waiters are told at the end.
local anyWaiter = redis.call('EXISTS', P .. 'w') == 1
local function note(id, state, attempt, more, settles, ttlMs)
  local receipt = P .. 'r:' .. id
  local old = redis.call('GET', receipt)
  if not old then return end
  local head = settles and not anyWaiter and string.match(old, '^([^\\t]*\\t[^\\t]*\\t)1\\n[^\\n]*$')
  if head then
    -- Nearly all: for one subscription, and nobody waits.
    redis.call('SET', receipt, head .. '0\\n' .. sub .. '\\t' .. state .. '\\t' .. nowText .. '\\t' .. attempt .. '\\t' .. more, 'PX', ttlMs)
    return
  end
  local token, at, left, rest = string.match(old, '^([^\\t]*)\\t([^\\t]*)\\t(%d+)\\n(.*)$')
  if not token then return end
  local line = sub .. '\\t' .. state .. '\\t' .. text(now) .. '\\t' .. attempt .. '\\t' .. more
  local open, found = tonumber(left), false
  local lines = {}
  for old in string.gmatch(rest, '[^\\n]+') do
    local name, was = string.match(old, '^([^\\t]*)\\t(%a)')
    if name == sub then
      found = true
      if settles and was ~= 'h' and was ~= 'x' then open = open - 1 end
      old = line
    end
    lines[#lines + 1] = old
  end
  if not found then return end
  local value = token .. '\\t' .. at .. '\\t' .. open .. '\\n' .. table.concat(lines, '\\n')
  if open > 0 then redis.call('SET', receipt, value) return end
  redis.call('SET', receipt, value, 'PX', ttlMs)
  local waiters = anyWaiter and redis.call('HGET', P .. 'w', id)
  if waiters then
    redis.call('HDEL', P .. 'w', id)
    for process in string.gmatch(waiters, '[^,]+') do redis.call('PUBLISH', P .. '!s:' .. process, id) end
  end
end
`;

/** ARGV: subscription, consumer, order, count. Answers: when the next one is due, whether there may be more, 9 values for each. */
export const TAKE_SCRIPT = `${TOOLS}
local wanted = tonumber(ARGV[4])
redis.call('HSET', P .. 'c:' .. sub, me, text(now))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', d, '-inf', text(now), 'LIMIT', 0, 1000)) do
  redis.call('ZREM', d, id)
  redis.call('ZADD', y, 0, id)
end
local out = {'', '0'}
local anyTries = redis.call('EXISTS', a) == 1
local fresh = {attempt = 1, first = now}
local given = 0
local function give(id, deliveries, t, f)
  given = given + 1
  if isOurs(f) then
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = id, deliveries, t.attempt
    out[n + 4] = t.first == now and nowText or text(t.first)
    out[n + 5], out[n + 6], out[n + 7], out[n + 8], out[n + 9] = f[2], f[4], f[6], f[8], t.redrives or 0
  else
    local fields = cjson.encode(f or {})
    for _, value in ipairs({id, deliveries, t.attempt, text(t.first), '', fields, '', '', 0}) do out[#out + 1] = value end
  end
end
local function heldBack(key, id)
  local s = keyState(key)
  redis.call('ZADD', P .. 'h:' .. sub .. ':' .. key, 0, padded(id))
  s.held = s.held + 1
  changed(key)
end

-- What was handed out before, and what has become free.
while given < wanted do
  local popped = redis.call('ZPOPMIN', y, 1)[1]
  if not popped then break end
  local id = plain(popped)
  local key = keyOf(id)
  local t = tries(id)
  local may = true
  if hold and key then
    local s = keyState(key)
    may = (s.owner == '' or s.owner == me) and (s.waiting == 0 or t.holds)
    -- Given back late: what is held back and older goes first.
    if may and s.held > 0 then
      local lowest = redis.call('ZRANGE', P .. 'h:' .. sub .. ':' .. key, 0, 0)[1]
      may = not lowest or popped < lowest
    end
    if t.holds then
      s.waiting = s.waiting - 1
      t.holds = false
      saveTries(id, t)
      changed(key)
    end
    if may then
      s.owner = me
      s.count = s.count + 1
      changed(key)
    else heldBack(key, id) end
  end
  if may then
    local claimed = redis.call('XCLAIM', q, 'g', me, 0, id)[1]
    if claimed then
      if t.first == 0 then t.first = now end
      give(id, redis.call('XPENDING', q, 'g', id, id, 1)[1][4], t, claimed[2])
    else
      redis.call('HDEL', a, id)
      if hold and key then keyState(key).count = keyState(key).count - 1 end
    end
  end
end

-- New ones. What is held back costs a look, so that looks are bounded.
local looks = 0
while given < wanted and looks < 10 do
  looks = looks + 1
  local count = wanted - given
  local read = redis.call('XREADGROUP', 'GROUP', 'g', me, 'COUNT', count, 'STREAMS', q, '>')
  local entries = read and read[1] and read[1][2] or {}
  for _, entry in ipairs(entries) do
    local id, f = entry[1], entry[2]
    local ours = isOurs(f)
    if ours and f[9] == 'b' and (tonumber(f[10]) or 0) > now then
      park(id)
      redis.call('ZADD', d, f[10], padded(id))
    else
      local may = true
      if hold and ours then
        local s = keyState(f[6])
        may = s.count + s.held + s.waiting == 0 or (s.owner == me and s.held == 0 and s.waiting == 0)
        if may then
          s.owner = me
          s.count = s.count + 1
          changed(f[6])
        else
          park(id)
          heldBack(f[6], id)
        end
      end
      if may then
        local t = fresh
        -- Only what was sent again has a record before it was handed out.
        if anyTries then
          t = tries(id)
          t.first = now
        end
        give(id, 1, t, f)
       end
    end
  end
  if #entries < count then break end
  if looks == 10 then out[2] = '1' end
end
saveKeys()
local due = redis.call('ZRANGE', d, 0, 0, 'WITHSCORES')
if due[2] then out[1] = text(math.max(0, due[2] - now)) end
return out
`;

/** Arguments of each outcome. */
export const SETTLE_ARGUMENTS = 8;

/**
 * ARGV: subscription, consumer, order, how long receipts are kept, first and last entry, then for each outcome: entry, number of deliveries, kind, key, id,
 * attempt, first delivery, and: of a reply its bytes, of a retry `delay error`, of a dead one `reason error`. Answers when the next
 * one is due, and the ids of the dead letters, in their order.
 */
export const SETTLE_SCRIPT = `${TOOLS}
local ttlMs = ARGV[4]
local mine = {}
for _, p in ipairs(redis.call('XPENDING', q, 'g', ARGV[5], ARGV[6], 100000, me)) do mine[p[1]] = tostring(p[4]) end
local over, back, letters, failed, settled = {}, false, {''}, {}, {}
for at = 7, #ARGV, ${SETTLE_ARGUMENTS} do
  local id, deliveries, kind, key, message = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempt, first, more = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  if mine[id] ~= deliveries then
    if kind == 'x' then letters[#letters + 1] = '' end
  else
    mine[id] = nil
    settled[id] = true
    local s
    if hold and message ~= '' then
      s = keyState(key)
      s.count = s.count - 1
      changed(key)
    end
    if kind == 'h' then
      over[#over + 1] = id
      if more ~= '' then
        redis.call('HSET', P .. 'v:' .. message, sub, string.sub(more, 2))
        redis.call('PEXPIRE', P .. 'v:' .. message, ttlMs)
      end
      note(message, 'h', attempt, '', true, ttlMs)
    elseif kind == 'x' then
      over[#over + 1] = id
      local reason, error = string.match(more, '^(%a+) (.*)$')
      local f = (redis.call('XRANGE', q, id, id)[1] or {id, {}})[2]
      local t = tries(id)
      local header, payload = '', ''
      if isOurs(f) then header, payload = f[2], f[4] else payload = cjson.encode(f) end
      letters[#letters + 1] = bury(header, payload, key, message, reason, error, attempt, first, t.redrives)
      note(message, 'x', attempt, error, true, ttlMs)
    else
      park(id)
      local t = tries(id)
      t.first = tonumber(first)
      t.attempt = tonumber(attempt)
      if kind == 'r' then
        local delay, error = string.match(more, '^(%d+) (.*)$')
        t.attempt = t.attempt + 1
        t.holds = hold and message ~= ''
        redis.call('ZADD', d, text(now + tonumber(delay)), padded(id))
        if s then
          s.waiting = s.waiting + 1
          failed[key] = true
        end
        note(message, 'd', attempt, error, false, ttlMs)
      else
        redis.call('ZADD', y, 0, padded(id))
        back = true
      end
      saveTries(id, t)
    end
  end
end
-- What else of their keys is in hands, or on its way there, goes back with those that are tried again, or followers would overtake it.
local any = false
for key in pairs(failed) do any = any or keyState(key).count > 0 end
if any then
  for _, p in ipairs(redis.call('XPENDING', q, 'g', '-', '+', 10000, me)) do
    local key = not settled[p[1]] and keyOf(p[1])
    if key and failed[key] then
      park(p[1])
      redis.call('ZADD', y, 0, padded(p[1]))
      keyState(key).count = keyState(key).count - 1
      changed(key)
    end
  end
end
for from = 1, #over, 1000 do
  local some = {unpack(over, from, math.min(#over, from + 999))}
  redis.call('XACK', q, 'g', unpack(some))
  redis.call('XDEL', q, unpack(some))
  redis.call('HDEL', a, unpack(some))
end
saveKeys()
if back or redis.call('EXISTS', y) == 1 then redis.call('PUBLISH', P .. '!w:' .. sub, '') end
local due = redis.call('ZRANGE', d, 0, 0, 'WITHSCORES')
if due[2] then letters[1] = text(math.max(0, due[2] - now)) end
return letters
`;

const TAKE_FROM = `
local function takeFrom(id, another)
  local key = keyOf(id)
  park(id)
  if another then
    local t = tries(id)
    t.attempt = t.attempt + 1
    if t.first == 0 then t.first = now end
    saveTries(id, t)
  end
  redis.call('ZADD', y, 0, padded(id))
  if hold and key then
    local s = keyState(key)
    s.count = s.count - 1
    changed(key)
  end
end
local function endConsumer(consumer)
  redis.call('HDEL', P .. 'c:' .. sub, consumer)
  redis.call('XGROUP', 'DELCONSUMER', q, 'g', consumer)
end
`;

/**
 * Takes messages from consumers that are gone: as the next attempt, so that one which kills its process does not do it for ever.
 * ARGV: subscription, consumer, order, after what time without a sign of life a consumer is gone.
 */
export const REAP_SCRIPT = `${TOOLS}${TAKE_FROM}
local goneMs = tonumber(ARGV[4])
redis.call('HSET', P .. 'c:' .. sub, me, text(now))
local moved = 0
local seen = redis.call('HGETALL', P .. 'c:' .. sub)
for i = 1, #seen, 2 do
  local consumer = seen[i]
  if now - tonumber(seen[i + 1]) > goneMs then
    local pending = redis.call('XPENDING', q, 'g', '-', '+', 10000, consumer)
    for _, p in ipairs(pending) do takeFrom(p[1], true) end
    moved = moved + #pending
    if #pending < 10000 then endConsumer(consumer) end
  end
end
saveKeys()
if moved > 0 or redis.call('EXISTS', y) == 1 then redis.call('PUBLISH', P .. '!w:' .. sub, '') end
local due = redis.call('ZRANGE', d, 0, 0, 'WITHSCORES')
return due[2] and text(math.max(0, due[2] - now)) or ''
`;

/**
 * Gives back what a consumer has, but for the entries named: after a connection was lost, what was handed out on its way; when a
 * consumer leaves, everything. ARGV: subscription, consumer, order, `leave` or `stay`, entries that it knows of.
 */
export const GIVE_BACK_SCRIPT = `${TOOLS}${TAKE_FROM}
local known = {}
for at = 5, #ARGV do known[ARGV[at]] = true end
for _, p in ipairs(redis.call('XPENDING', q, 'g', '-', '+', 100000, me)) do
  if not known[p[1]] then takeFrom(p[1], false) end
end
saveKeys()
if ARGV[4] == 'leave' then endConsumer(me) end
redis.call('PUBLISH', P .. '!w:' .. sub, '')
return 'OK'
`;

/** Answers members of what has expired: `subscription entry order`. */
export const EXPIRED_SCRIPT = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local out = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'e', '-inf', now, 'LIMIT', 0, 200)) do
  local sub, entry = string.match(member, '^([^\\t]*)\\t(.*)$')
  local spec = sub and redis.call('HGET', P .. 'subs', sub)
  if spec then
    out[#out + 1] = sub
    out[#out + 1] = entry
    out[#out + 1] = cjson.decode(spec).order
  else redis.call('ZREM', P .. 'e', member) end
end
return out
`;

/**
 * Sets aside what has expired and is in nobody's hands. ARGV: subscription, nobody, order, how long receipts are kept, the error, entries.
 * Answers for each: letter, message id, attempts.
 */
export const EXPIRE_SCRIPT = `${TOOLS}
local ttlMs, error = ARGV[4], ARGV[5]
local out = {}
for at = 6, #ARGV do
  local id = ARGV[at]
  redis.call('ZREM', P .. 'e', sub .. '\\t' .. id)
  local entry = redis.call('XRANGE', q, id, id)[1]
  local pending = redis.call('XPENDING', q, 'g', id, id, 1)[1]
  if entry and isOurs(entry[2]) and (not pending or pending[2] == '#') then
    local f = entry[2]
    local key, t = f[6], tries(id)
    redis.call('ZREM', y, padded(id))
    redis.call('ZREM', d, padded(id))
    if hold then
      local s = keyState(key)
      if t.holds then s.waiting = s.waiting - 1 end
      s.held = s.held - redis.call('ZREM', P .. 'h:' .. sub .. ':' .. key, padded(id))
      changed(key)
    end
    local attempts = t.attempt - 1
    local letter = bury(f[2], f[4], key, f[8], 'expired', error, attempts, text(t.first), t.redrives)
    note(f[8], 'x', attempts, error, true, ttlMs)
    redis.call('XACK', q, 'g', id)
    redis.call('XDEL', q, id)
    redis.call('HDEL', a, id)
    for _, value in ipairs({letter, f[8], attempts}) do out[#out + 1] = value end
  end
end
saveKeys()
if #out > 0 then redis.call('PUBLISH', P .. '!w:' .. sub, '') end
return out
`;

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

/** What the scripts of one subscription begin with. */
export const TOOLS = `
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

/**
 * ARGV: subscription, consumer, order, count. Answers: when the next one is due, whether there may be more, the time; then for each entry its
 * id, and nothing, header, payload, and how its receipt begins, for one that is handed out for the first time and has one subscription;
 * for others the number of deliveries, attempt, first delivery, header, payload, key, message id, redrives.
 */
export const TAKE_SCRIPT = `${TOOLS}
local wanted = tonumber(ARGV[4])
redis.call('HSET', P .. 'c:' .. sub, me, text(now))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', d, '-inf', text(now), 'LIMIT', 0, 1000)) do
  redis.call('ZREM', d, id)
  redis.call('ZADD', y, 0, id)
end
local out = {'', '0', nowText}
local anyTries = redis.call('EXISTS', a) == 1
local fresh = {attempt = 1, first = now}
local given = 0
local function giveFresh(id, f)
  given = given + 1
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = id, '', f[2], f[4], f[10]
end
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
      if may and ours and f[9] == 'r' then giveFresh(id, f)
      elseif may then
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

/**
 * ARGV: subscription, consumer, order, how long receipts are kept, first and last entry, how many were simply handled: entry, key, message
 * id, and how its receipt begins. Then for each other outcome: entry, number of deliveries, kind, key, id, attempt, first delivery, and:
 * of a reply its bytes, of a retry `delay error`, of a dead one `reason error`. Answers when the next one is due, and the ids of the dead
 * letters, in their order.
 */
export const SETTLE_SCRIPT = `${TOOLS}
local ttlMs = ARGV[4]
local mine = {}
for _, p in ipairs(redis.call('XPENDING', q, 'g', ARGV[5], ARGV[6], 100000, me)) do mine[p[1]] = p[4] end
local over, back, letters, failed, settled = {}, false, {''}, {}, {}
local plain = 7 + 4 * tonumber(ARGV[7])
local handled = '\\t0\\n' .. sub .. '\\th\\t' .. nowText .. '\\t1\\t'
for at = 8, plain, 4 do
  local id, key = ARGV[at], ARGV[at + 1]
  if mine[id] == 1 then
    mine[id] = nil
    settled[id] = true
    if hold then
      local s = keyState(key)
      s.count = s.count - 1
      changed(key)
    end
    over[#over + 1] = id
    -- Its receipt has one line, which is this one.
    if anyWaiter then note(ARGV[at + 2], 'h', '1', '', true, ttlMs)
    else redis.call('SET', P .. 'r:' .. ARGV[at + 2], ARGV[at + 3] .. handled, 'PX', ttlMs) end
  end
end
for at = plain + 1, #ARGV, 8 do
  local id, deliveries, kind, key, message = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempt, first, more = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  if mine[id] ~= deliveries then
    if kind == 'x' then letters[#letters + 1] = '' end
  else
    mine[id] = nil
    settled[id] = true
    local f
    if kind == 'x' then
      f = (redis.call('XRANGE', q, id, id)[1] or {id, {}})[2]
      if isOurs(f) then key, message = f[6], f[8] end
    end
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
local anyTries = redis.call('EXISTS', a) == 1
for from = 1, #over, 1000 do
  local some = {unpack(over, from, math.min(#over, from + 999))}
  redis.call('XACK', q, 'g', unpack(some))
  redis.call('XDEL', q, unpack(some))
  if anyTries then redis.call('HDEL', a, unpack(some)) end
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

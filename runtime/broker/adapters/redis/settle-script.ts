/**
 * The script by which what was handed out is settled.
 *
 * Owns: that an outcome counts once, and only while the message is with whoever settles it by that hand-out.
 *
 * Invariants:
 * DS3. It changes only what is still with that consumer, by that hand-out: repeated, it changes nothing. What was handed out in an epoch
 *      of the consumer is with it as long as that epoch lasts, for it settles nothing twice; everything else is looked up among what is
 *      pending, and so is all of a call that is made again.
 */
import { SUBSCRIPTION_TOOLS } from './script-tools.ts';

/**
 * ARGV: subscription, consumer, order, epoch of what was simply handled (nothing: look it up), first and last entry, how many keys what was
 * simply handled has, how many of it there are; key and count of each; entry and message id of each. Then for each other outcome: entry, number of
 * deliveries, kind, key, id, attempt, first delivery, and: of a reply its bytes, of a retry `delay error`, of a dead one `reason error`.
 * Answers when the next one is due, and the ids of the dead letters, in their order.
 */
export const SETTLE_SCRIPT = `${SUBSCRIPTION_TOOLS}
local _, epoch = seatOf(me)
local keyCount, plainCount = tonumber(ARGV[7]), tonumber(ARGV[8])
local plainAt = 9 + 2 * keyCount
local othersAt = plainAt + 2 * plainCount
local isSure = epoch == ARGV[4]
local mine = {}
if not isSure or othersAt <= #ARGV then
  for _, p in ipairs(redis.call('XPENDING', q, 'g', ARGV[5], ARGV[6], 100000, me)) do mine[p[1]] = p[4] end
end
local over, letters = {}, {''}
local back, failed = false, {}

-- What was simply handled: for this subscription alone, at the first try. Its record has one line, which is this one.
local overCount = 0
if plainCount > 0 then
  local ids, ended = {}, {}
  local line = '0\\n' .. sub .. '\\th\\t' .. nowText .. '\\t1\\t'
  local at = plainAt
  if hold then
    local wanted = {}
    for i = 9, plainAt - 1, 2 do wanted[#wanted + 1] = ARGV[i] end
    readKeys(wanted)
  end
  for i = 9, plainAt - 1, 2 do
    local before = overCount
    for _ = 1, ARGV[i + 1] do
      local id = ARGV[at]
      if isSure or mine[id] == 1 then
        local message = ARGV[at + 1]
        overCount = overCount + 1
        over[overCount] = id
        ids[overCount] = message
        ended[2 * overCount - 1] = message
        ended[2 * overCount] = line
        if mine[id] then mine[id] = nil end
      end
      at = at + 2
    end
    if hold and overCount > before then
      local s = keys[ARGV[i]]
      s.count = s.count - (overCount - before)
      changed(ARGV[i])
    end
  end
  for from = 1, overCount, 1000 do
    redis.call('HSET', r, unpack(ended, 2 * from - 1, math.min(2 * overCount, 2 * from + 1998)))
    if anyMoved then redis.call('HDEL', o, unpack(ids, from, math.min(overCount, from + 999))) end
    if anyWaiter then
      local some = {unpack(ids, from, math.min(overCount, from + 999))}
      for i, waiters in ipairs(redis.call('HMGET', w, unpack(some))) do
        if waiters then tellWaiters(some[i], waiters) end
      end
    end
  end
end

for at = othersAt, #ARGV, 8 do
  local id, deliveries, kind, key, message = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempt, first, more = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  if mine[id] ~= deliveries then
    if kind == 'x' then letters[#letters + 1] = '' end
  else
    mine[id] = nil
    local f
    local isOurs = true
    if kind == 'x' then
      f = (redis.call('XRANGE', q, id, id)[1] or {id, {}})[2]
      local found = keyIn(f)
      isOurs = found ~= false
      if isOurs then key, message = found, idOf(f[2]) end
    end
    local s
    if hold and isOurs then
      s = keyState(key)
      s.count = s.count - 1
      changed(key)
    end
    if kind == 'h' then
      overCount = overCount + 1
      over[overCount] = id
      if more ~= '' then redis.call('HSET', P .. 'v', message .. '\\t' .. sub, string.sub(more, 2)) end
      note(message, 'h', attempt, '', true)
    elseif kind == 'x' then
      overCount = overCount + 1
      over[overCount] = id
      local reason, error = string.match(more, '^(%a+) (.*)$')
      local frame
      if isOurs then frame = f[2] else frame = '0\\n' .. cjson.encode(f) end
      letters[#letters + 1] = bury(frame, key, message, reason, error, attempt, first, tries(id).redrives)
      note(message, 'x', attempt, error, true)
    else
      park(id)
      local t = tries(id)
      t.first = tonumber(first)
      t.attempt = tonumber(attempt)
      if kind == 'r' then
        local delay, error = string.match(more, '^(%d+) (.*)$')
        t.attempt = t.attempt + 1
        t.holds = hold
        redis.call('ZADD', d, text(now + tonumber(delay)), padded(id))
        if s then
          s.waiting = s.waiting + 1
          failed[key] = true
        end
        note(message, 'd', attempt, error, false)
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
  local settled = {}
  for _, id in ipairs(over) do settled[id] = true end
  for _, p in ipairs(redis.call('XPENDING', q, 'g', '-', '+', 10000, me)) do
    local key = not settled[p[1]] and keyOf(p[1])
    if key and failed[key] then
      park(p[1])
      redis.call('ZADD', y, 0, padded(p[1]))
      keyState(key).count = keyState(key).count - 1
      changed(key)
      back = true
    end
  end
  local seen, old, present = seatOf(me)
  if old then redis.call('HSET', c, me, text(seen) .. '\\t' .. newEpoch() .. '\\t' .. present) end
end
local anyTries, acked = redis.call('EXISTS', a) == 1, 0
for from = 1, overCount, 1000 do
  local last = math.min(overCount, from + 999)
  acked = acked + redis.call('XACK', q, 'g', unpack(over, from, last))
  if anyTries then redis.call('HDEL', a, unpack(over, from, last)) end
end
-- Usually nothing in front of the last one is in hands or set aside, and the stream is cut off there: a tenth of what it costs to look for
-- each. That all of the call were pending says that the last one has been read, and with it all before it.
local isOldest = acked > 0 and acked == plainCount + (#ARGV - othersAt + 1) / 8 and #redis.call('XPENDING', q, 'g', '-', ARGV[6], 1) == 0
if isOldest then
  local ms, seq = string.match(ARGV[6], '^(%d+)-(%d+)$')
  redis.call('XTRIM', q, 'MINID', ms .. '-' .. text(seq + 1))
else
  for from = 1, overCount, 1000 do redis.call('XDEL', q, unpack(over, from, math.min(overCount, from + 999))) end
end
saveKeys()
if back or redis.call('EXISTS', y) == 1 then redis.call('PUBLISH', P .. '!w:' .. sub, '') end
local due = redis.call('ZRANGE', d, 0, 0, 'WITHSCORES')
if due[2] then letters[1] = text(math.max(0, due[2] - now)) end
return letters
`;

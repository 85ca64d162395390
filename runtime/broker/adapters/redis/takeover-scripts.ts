/**
 * The scripts by which messages come back from a consumer: from one that is gone, and from one that gives them back.
 *
 * Owns: who is gone. What is in hands of a living consumer stays there.
 *
 * Invariants:
 * TO1. A consumer is gone when it has not been seen for `goneMs`; or, if its connection could be seen while it was there, when that has not
 *      been for `graceMs`, in which the server was there all the time: after the server comes back everyone has as long to come back.
 * TO2. Who was away itself does not judge: where nobody ran for a while, nobody is gone for that.
 * TO3. What is taken from a consumer counts as lost, not as an attempt; and its epoch ends, so that its late outcomes are looked up.
 */
import { SUBSCRIPTION_TOOLS } from './script-tools.ts';

const TAKE_FROM = `
local function takeFrom(id, isLost)
  local key = keyOf(id)
  park(id)
  if isLost then
    local t = tries(id)
    t.lost = t.lost + 1
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
  redis.call('HDEL', c, consumer)
  redis.call('XGROUP', 'DELCONSUMER', q, 'g', consumer)
end
`;

/**
 * Says that this consumer is there, and takes messages from those that are gone.
 * ARGV: subscription, consumer, order, `goneMs`, `graceMs`. A consumer's process is its name up to the last hyphen.
 */
export const REAP_SCRIPT = `${SUBSCRIPTION_TOOLS}${TAKE_FROM}
local goneMs, graceMs = tonumber(ARGV[4]), tonumber(ARGV[5])
local function isPresent(consumer)
  return redis.call('PUBSUB', 'NUMSUB', P .. '!p:' .. string.match(consumer, '^(.*)%-'))[2] > 0
end
local beat, since = string.match(redis.call('HGET', c, '') or '', '^(%d+)\\t(%d+)$')
if not beat or now - beat > graceMs then since = nowText end
redis.call('HSET', c, '', nowText .. '\\t' .. since)
local seen, epoch = seatOf(me)
redis.call('HSET', c, me, nowText .. '\\t' .. (epoch or newEpoch()) .. '\\t' .. (isPresent(me) and 1 or 0))
local moved = 0
if seen and now - seen < goneMs / 2 then
  for _, consumer in ipairs(redis.call('HKEYS', c)) do
    local seen, _, present = seatOf(consumer)
    local isGone = false
    if seen and consumer ~= me then
      isGone = now - seen > goneMs or (present == '1' and now - math.max(seen, since) > graceMs and not isPresent(consumer))
    end
    if isGone then
      local pending = redis.call('XPENDING', q, 'g', '-', '+', 10000, consumer)
      for _, p in ipairs(pending) do takeFrom(p[1], true) end
      moved = moved + #pending
      if #pending < 10000 then endConsumer(consumer) end
    end
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
export const GIVE_BACK_SCRIPT = `${SUBSCRIPTION_TOOLS}${TAKE_FROM}
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

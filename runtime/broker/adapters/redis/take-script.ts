/**
 * The script by which messages are handed out.
 *
 * Owns: who may have which message.
 *
 * Invariants:
 * DS1. Messages of one key are with one consumer at a time, in the order in which they were accepted, also through retries: with
 *      `order: 'hold'`, over all processes.
 * DS2. An entry is handed out from `y`, `d` or the stream's new ones, and nowhere else; what may not go is put into `h`, and comes back
 *      to `y` when its key is free.
 * DS4. What was lost often with its consumers is handed out alone: nothing of the subscription is with this consumer, and nothing comes
 *      with it. That nothing is taken while it is there is the consumer's.
 */
import { SUSPECT_AFTER_LOST } from '../../broker-adapter.ts';
import { SUBSCRIPTION_TOOLS } from './script-tools.ts';

/**
 * ARGV: subscription, consumer, order, count. Answers: when the next one is due, whether there may be more, the time, the consumer's epoch;
 * then for each entry its id and its frame, when it is handed out for the first time and is for this subscription alone; for others its id,
 * nothing, number of deliveries, attempt, first delivery, times lost, redrives, frame. Of what is no message the frame is its fields.
 */
export const TAKE_SCRIPT = `${SUBSCRIPTION_TOOLS}
local wanted = tonumber(ARGV[4])
local _, epoch = seatOf(me)
if not epoch then
  epoch = newEpoch()
  redis.call('HSET', c, me, nowText .. '\\t' .. epoch .. '\\t0')
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', d, '-inf', nowText, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', d, id)
  redis.call('ZADD', y, 0, id)
end
local out = {'', '0', nowText, epoch}
local anyTries = redis.call('EXISTS', a) == 1
local given, isAlone = 0, false
local function give(id, deliveries, t, f)
  given = given + 1
  local frame
  if keyIn(f) then frame = f[2] else frame = '0\\n' .. cjson.encode(f or {}) end
  local first = t.first == 0 and nowText or text(t.first)
  for _, value in ipairs({id, '', deliveries, t.attempt, first, t.lost, t.redrives, frame}) do out[#out + 1] = value end
end
local function heldBack(key, id)
  local s = keyState(key)
  redis.call('ZADD', P .. 'h:' .. sub .. ':' .. key, 0, padded(id))
  s.held = s.held + 1
  changed(key)
end

-- What was handed out before, and what has become free.
while given < wanted and not isAlone do
  local popped = redis.call('ZPOPMIN', y, 1)[1]
  if not popped then break end
  local id = plain(popped)
  local key = keyOf(id)
  local t = tries(id)
  local may = true
  if t.lost >= ${SUSPECT_AFTER_LOST} then
    isAlone = true
    if given > 0 or #redis.call('XPENDING', q, 'g', '-', '+', 1, me) > 0 then
      redis.call('ZADD', y, 0, popped)
      break
    end
  end
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
    else
      heldBack(key, id)
      isAlone = false
    end
  end
  if may then
    local claimed = redis.call('XCLAIM', q, 'g', me, 0, id)[1]
    if claimed then
      give(id, redis.call('XPENDING', q, 'g', id, id, 1)[1][4], t, claimed[2])
    else
      isAlone = false
      redis.call('HDEL', a, id)
      if hold and key then keyState(key).count = keyState(key).count - 1 end
    end
  end
end

-- New ones. What is held back costs a look, so that looks are bounded.
local looks = 0
local fresh = {attempt = 1, first = 0, redrives = 0, lost = 0}
while given < wanted and looks < 10 and not isAlone do
  looks = looks + 1
  local count = wanted - given
  local read = redis.call('XREADGROUP', 'GROUP', 'g', me, 'COUNT', count, 'STREAMS', q, '>')
  local entries = read and read[1] and read[1][2] or {}
  if hold then
    local unknown, asked, before = {}, {}, nil
    for i = 1, #entries do
      local f = entries[i][2]
      local key = f and f[1] ~= before and keyIn(f)
      if key then
        before = f[1]
        if not keys[key] and not asked[key] then
          asked[key] = true
          unknown[#unknown + 1] = key
        end
      end
    end
    readKeys(unknown)
  end
  local n = #out
  for i = 1, #entries do
    local id, f = entries[i][1], entries[i][2]
    local key = keyIn(f)
    if key and f[3] and (tonumber(f[4]) or 0) > now then
      park(id)
      redis.call('ZADD', d, f[4], padded(id))
    else
      local may = true
      if hold and key then
        local s = keys[key]
        may = (s.count == 0 or s.owner == me) and s.held == 0 and s.waiting == 0
        if may then
          s.owner = me
          s.count = s.count + 1
          keysChanged[key] = true
        else
          park(id)
          heldBack(key, id)
        end
      end
      if may and key and string.byte(f[1]) == 97 then
        given = given + 1
        out[n + 1], out[n + 2] = id, f[2]
        n = n + 2
      elseif may then
        -- Only what was sent again has a record before it was handed out.
        give(id, 1, anyTries and tries(id) or fresh, f)
        n = #out
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

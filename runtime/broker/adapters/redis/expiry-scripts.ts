/**
 * The scripts that look after what nobody asks for: messages that have expired, and what was kept long enough.
 *
 * Owns: that only what is in nobody's hands is set aside, and that what has ended is known for as long as the process that keeps it the
 * longest wants. Who has what is `take-script.ts`.
 */
import { RECORD_TOOLS, SUBSCRIPTION_TOOLS } from './script-tools.ts';

/** Records: a millisecond or two of the server's time. */
const LOOKED_THROUGH_AT_ONCE = 2_000;

/** ARGV: how long what has ended is to be known. The longest holds, as long as there is anything. */
export const AGE_SCRIPT = `
local age = KEYS[1] .. 'age'
local kept = tonumber(redis.call('HGET', age, 'ttl') or 0)
if kept < tonumber(ARGV[1]) then redis.call('HSET', age, 'ttl', ARGV[1]) end
return 'OK'
`;

/**
 * Begins new hashes of what has ended, and drops old ones, when it is time: once the records of what has not ended are out of them, some in
 * each call. Answers whether it is to be called again for that. ARGV: how long what has ended is to be known, if nothing says so.
 */
export const RENEW_SCRIPT = `${RECORD_TOOLS}
local age = P .. 'age'
local kept = redis.call('HMGET', age, 'ttl', 'begun', 'seen')
local ttl = tonumber(kept[1] or ARGV[1])
local isOver = not kept[2] or now - kept[2] >= ttl
if isOver and redis.call('EXISTS', rOld) == 1 then
  local read = redis.call('HSCAN', rOld, kept[3] or '0', 'COUNT', ${LOOKED_THROUGH_AT_ONCE})
  local open = {}
  for i = 1, #read[2], 2 do
    -- What has ended begins with nought, what is another message with its sign.
    local sign = string.byte(read[2][i + 1])
    if sign ~= 48 and sign ~= 61 and redis.call('HEXISTS', r, read[2][i]) == 0 then
      open[#open + 1] = read[2][i]
      open[#open + 1] = read[2][i + 1]
    end
  end
  for from = 1, #open, 1000 do redis.call('HSET', o, unpack(open, from, math.min(#open, from + 999))) end
  if read[1] ~= '0' then
    redis.call('HSET', age, 'seen', read[1])
    return 1
  end
end
if isOver then
  redis.call('HSET', age, 'ttl', ttl, 'begun', nowText)
  redis.call('HDEL', age, 'seen')
  for _, name in ipairs({'r', 'v', 'i'}) do
    local new, old = P .. name, P .. name .. '-'
    redis.call('UNLINK', old)
    if redis.call('EXISTS', new) == 1 then redis.call('RENAME', new, old) end
  end
end

-- If no process is left to do this, what is kept for a time ends by itself.
local isIdle = true
for _, name in ipairs(redis.call('HKEYS', P .. 'subs')) do isIdle = isIdle and redis.call('XLEN', P .. 'q:' .. name) == 0 end
local function endsByItself(key)
  if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, 3 * ttl) end
end
endsByItself(P .. 'v')
endsByItself(P .. 'i')
for _, key in ipairs({r, rOld}) do
  if isIdle then endsByItself(key) else redis.call('PERSIST', key) end
end
return 0
`;

/** Answers of what has expired: `subscription entry order`. */
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
 * Sets aside what has expired and is in nobody's hands. ARGV: subscription, nobody, order, the error, entries.
 * Answers for each: letter, message id, attempts.
 */
export const EXPIRE_SCRIPT = `${SUBSCRIPTION_TOOLS}
local error = ARGV[4]
local out = {}
for at = 5, #ARGV do
  local id = ARGV[at]
  redis.call('ZREM', P .. 'e', sub .. '\\t' .. id)
  local entry = redis.call('XRANGE', q, id, id)[1]
  local pending = redis.call('XPENDING', q, 'g', id, id, 1)[1]
  local key = entry and keyIn(entry[2])
  if key and (not pending or pending[2] == '#') then
    local f = entry[2]
    local message, t = idOf(f[2]), tries(id)
    redis.call('ZREM', y, padded(id))
    redis.call('ZREM', d, padded(id))
    if hold then
      local s = keyState(key)
      if t.holds then s.waiting = s.waiting - 1 end
      s.held = s.held - redis.call('ZREM', P .. 'h:' .. sub .. ':' .. key, padded(id))
      changed(key)
    end
    local attempts = t.attempt - 1
    local letter = bury(f[2], key, message, 'expired', error, attempts, text(t.first), t.redrives)
    note(message, 'x', attempts, error, true)
    redis.call('XACK', q, 'g', id)
    redis.call('XDEL', q, id)
    redis.call('HDEL', a, id)
    for _, value in ipairs({letter, message, attempts}) do out[#out + 1] = value end
  end
end
saveKeys()
if #out > 0 then redis.call('PUBLISH', P .. '!w:' .. sub, '') end
return out
`;

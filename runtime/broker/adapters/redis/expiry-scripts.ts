/**
 * The scripts that find what has expired while nobody asked for it, and set it aside.
 *
 * Owns: that only what is in nobody's hands is set aside. Who has what is `delivery-scripts.ts`.
 */
import { TOOLS } from './delivery-scripts.ts';

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

/**
 * The script that accepts messages: all that one turn of the event loop has brought, in one call.
 *
 * Owns: that a message is known by its id and idempotency key, is in the stream of every subscription that it is for, in the streams
 * that retain it, and has its record: all of it, or nothing. Which subscriptions those are is worked out by the caller from its copy
 * of the table; if the table is another by now, the script does nothing and gives the new one.
 *
 * Invariants:
 * AS1. A call that is repeated, because its answer was lost, changes nothing and answers as the first one: a process's last calls are
 *      remembered with their answers, more than it has under way at a time.
 */
import { RECORD_TOOLS } from './script-tools.ts';

/** Calls of a process that are remembered: `RedisOutbox` has fewer under way. */
export const REMEMBERED_CALLS = 32;
/** Before a process that is gone is forgotten: far longer than a call is tried again. */
const REMEMBERED_MS = 3_600_000;
/** In one command of a script: each message is two of its arguments. */
export const ACCEPTED_AT_ONCE = 1_000;

/**
 * ARGV: version of the table, what the call names as JSON, process, number of the call, how many messages there are; the id of each, which is
 * empty for one that is left out; then, for those that go the same way, the way and how many they are, and the frame of each. A way is
 * `plan,notBefore,expires,length,` with an idempotency key of that length and the order key.
 *
 * Answers for each: `0` accepted, `3` accepted and maybe heard by others, `1<id>` known, as that id, `2<name>` that subscription is full;
 * one answer if all are the same.
 */
export const ACCEPT_SCRIPT = `
local version = redis.call('GET', KEYS[1] .. 'ver') or '0'
if version ~= ARGV[1] then
  return {'stale', version, redis.call('HGETALL', KEYS[1] .. 'subs'), redis.call('HGETALL', KEYS[1] .. 'keeps')}
end
local calls, slot = KEYS[1] .. 'b:' .. ARGV[3], ARGV[4] % ${REMEMBERED_CALLS}
local before = redis.call('HGET', calls, slot)
if before then
  local number, answers = cmsgpack.unpack(before)
  if number == ARGV[4] then return answers end
end
${RECORD_TOOLS}
local named = cjson.decode(ARGV[2])
local anyPattern = tonumber(redis.call('PUBSUB', 'NUMPAT')) > 0
local plans, out = {}, {}

local function roomOf(sub)
  local left = sub.l - redis.call('XLEN', sub.q)
  if left <= 0 then
    -- What is in hands does not wait.
    for _, consumer in ipairs(redis.call('XPENDING', sub.q, 'g')[4] or {}) do
      if consumer[1] ~= '#' then left = left + tonumber(consumer[2]) end
    end
  end
  return left
end

-- For whom the messages of one subject are: their numbers among the subscriptions and retained patterns that ARGV[2] names.
local function planOf(number)
  local plan = plans[number]
  if plan then return plan end
  local given = named.plans[tonumber(number)]
  plan = {subject = given.s, subs = {}, keeps = {}}
  plan.isHeard = anyPattern or redis.call('PUBSUB', 'NUMSUB', P .. '!m:' .. given.s)[2] > 0
  for _, i in ipairs(given.subs) do plan.subs[#plan.subs + 1] = named.subs[i] end
  for _, i in ipairs(given.keeps) do plan.keeps[#plan.keeps + 1] = named.keeps[i] end
  plan.kind = #plan.subs == 1 and 'a' or 'm'
  plan.record = #plan.subs
  for _, sub in ipairs(plan.subs) do
    if not sub.q then
      sub.q = P .. 'q:' .. sub.n
      sub.room = roomOf(sub)
    end
    plan.record = plan.record .. '\\n' .. sub.n .. '\\ta\\t' .. nowText .. '\\t0\\t'
  end
  plans[number] = plan
  return plan
end

local count = tonumber(ARGV[5])
local marks = redis.call('HMGET', r, unpack(ARGV, 6, 5 + count))
for _, hash in ipairs({rOld, o}) do
  if redis.call('EXISTS', hash) == 1 then
    for i, mark in ipairs(redis.call('HMGET', hash, unpack(ARGV, 6, 5 + count))) do marks[i] = marks[i] or mark end
  end
end

-- What is written at the end, in one command for all: field and value in turn; and by id, for a message that is there twice.
local records, written, mine, anyOpen, isSame = {}, 0, {}, false, true
local plan, subs, notBefore, expires, idempotency, key, field
local at, left = 6 + count, 0
for i = 1, count do
  if left == 0 then
    local number, length, from
    number, notBefore, expires, length, from = string.match(ARGV[at], '^(%d+),(%d*),(%d*),(%d+),()')
    plan = planOf(number)
    subs = plan.subs
    idempotency = string.sub(ARGV[at], from, from + length - 1)
    key = string.sub(ARGV[at], from + length)
    field = (notBefore == '' and plan.kind or 'm') .. key
    left = tonumber(ARGV[at + 1])
    at = at + 2
  end
  local id, frame = ARGV[5 + i], ARGV[at]
  at = at + 1
  left = left - 1
  local mark = marks[i] or mine[id]
  local first = idempotency ~= '' and not mark and (redis.call('HGET', P .. 'i', idempotency) or redis.call('HGET', P .. 'i-', idempotency))
  local full
  if id ~= '' and not mark and not first then
    for s = 1, #subs do
      if subs[s].room <= 0 then full = subs[s].n break end
    end
  end
  local answer = '0'
  if id == '' then answer = ''
  elseif mark then answer = '1' .. (string.sub(mark, 1, 1) == '=' and string.sub(mark, 2) or id)
  elseif first then
    answer = '1' .. first
    -- Whoever asks for the receipt of the second gets that of the first.
    mine[id] = '=' .. first
    records[written + 1], records[written + 2] = id, mine[id]
    written = written + 2
  elseif full then answer = '2' .. full
  else
    for s = 1, #subs do
      local sub, entry = subs[s]
      if notBefore ~= '' then entry = redis.call('XADD', sub.q, '*', field, frame, 'b', notBefore)
      else entry = redis.call('XADD', sub.q, '*', field, frame) end
      sub.room = sub.room - 1
      sub.isWoken = true
      if expires ~= '' then redis.call('ZADD', P .. 'e', expires, sub.n .. '\\t' .. entry) end
    end
    if subs[1] then anyOpen = true end
    mine[id] = plan.record
    records[written + 1], records[written + 2] = id, plan.record
    written = written + 2
    if idempotency ~= '' then redis.call('HSET', P .. 'i', idempotency, id) end
    if #plan.keeps > 0 then
      local position = text(redis.call('INCR', P .. 'pos'))
      for _, keep in ipairs(plan.keeps) do
        local kept = P .. 'k:' .. keep.n
        redis.call('XADD', kept, '*', 'n', position, 'm', frame, 'k', key, 's', plan.subject)
        trim(kept, keep.m, keep.a)
      end
    end
    if plan.isHeard then
      local token = ARGV[3] .. '.' .. ARGV[4] .. '.' .. i
      if redis.call('PUBLISH', P .. '!m:' .. plan.subject, token .. '\\t' .. frame) > 0 then answer = '3' end
    end
  end
  out[i] = answer
  isSame = isSame and answer == out[1]
end
if written > 0 then redis.call('HSET', r, unpack(records)) end
if anyOpen then redis.call('PERSIST', r) end
for _, sub in ipairs(named.subs) do
  if sub.isWoken then redis.call('PUBLISH', P .. '!w:' .. sub.n, '') end
end
if isSame then out = {out[1]} end
redis.call('HSET', calls, slot, cmsgpack.pack(ARGV[4], out))
redis.call('PEXPIRE', calls, ${REMEMBERED_MS})
return out
`;

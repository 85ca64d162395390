/**
 * The script that accepts messages: all that one turn of the event loop has brought, in one call.
 *
 * Owns: that a message is known by its id and idempotency key, is in the stream of every subscription that it is for, in the streams
 * that retain it, and has its receipt: all of it, or nothing. Which subscriptions those are is worked out by the caller from its copy
 * of the table; if the table is another by now, the script does nothing and gives the new one.
 *
 * Invariants:
 * AS1. A call that is repeated, because its answer was lost, changes nothing and answers as the first one: receipts have the caller's token.
 */

/**
 * Arguments of each message. Answers for each: `0` accepted, `3` accepted and maybe heard by others, `1<id>` known, as that id, `2<name>`
 * that subscription is full.
 */
export const ACCEPT_MESSAGE_ARGUMENTS = 7;

export const ACCEPT_SCRIPT = `
local P = KEYS[1]
local version = redis.call('GET', P .. 'ver') or '0'
if version ~= ARGV[1] then
  return {'stale', version, redis.call('HGETALL', P .. 'subs'), redis.call('HGETALL', P .. 'keeps')}
end
local windowMs = ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nowText = string.format('%.0f', now)
local named = cjson.decode(ARGV[3])
local anyPattern = tonumber(redis.call('PUBSUB', 'NUMPAT')) > 0
local plans, room, heard, woken, out = {}, {}, {}, {}, {}

-- For whom the messages of one subject are: their numbers among the subscriptions and retained patterns that ARGV[3] names.
local function planOf(number)
  local plan = plans[number]
  if plan then return plan end
  local given = named.plans[tonumber(number)]
  plan = {subject = given.s, subs = {}, keeps = {}}
  for _, i in ipairs(given.subs) do plan.subs[#plan.subs + 1] = named.subs[i] end
  for _, i in ipairs(given.keeps) do plan.keeps[#plan.keeps + 1] = named.keeps[i] end
  -- What all receipts of this plan have behind their token and time.
  plan.open = #plan.subs > 0
  plan.alone = #plan.subs == 1
  plan.lines = '\\t' .. #plan.subs
  for _, sub in ipairs(plan.subs) do
    sub.q = P .. 'q:' .. sub.n
    plan.lines = plan.lines .. '\\n' .. sub.n .. '\\ta\\t' .. nowText .. '\\t0\\t'
  end
  plans[number] = plan
  return plan
end

local function roomFor(sub)
  local left = room[sub.n]
  if not left then
    left = sub.l - redis.call('XLEN', P .. 'q:' .. sub.n)
    if left <= 0 then
      -- What is in hands does not wait.
      for _, consumer in ipairs(redis.call('XPENDING', P .. 'q:' .. sub.n, 'g')[4] or {}) do
        if consumer[1] ~= '#' then left = left + tonumber(consumer[2]) end
      end
    end
    room[sub.n] = left
  end
  return left
end

local function isHeard(subject)
  if anyPattern then return true end
  local known = heard[subject]
  if known == nil then
    known = redis.call('PUBSUB', 'NUMSUB', P .. '!m:' .. subject)[2] > 0
    heard[subject] = known
  end
  return known
end

for at = 4, #ARGV, ${ACCEPT_MESSAGE_ARGUMENTS} do
  local id, key, header, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local token, plan, more = ARGV[at + 4], planOf(ARGV[at + 5]), ARGV[at + 6]
  local notBefore, expires, idempotency = '', '', ''
  if more ~= '' then notBefore, expires, idempotency = string.match(more, '^(%d*),(%d*),(.*)$') end
  local receipt = P .. 'r:' .. id
  local answer = '0'
  local head = token .. '\\t' .. nowText
  local full
  for _, sub in ipairs(plan.subs) do
    if roomFor(sub) <= 0 then full = sub.n break end
  end
  local isNew, known = false, nil
  if idempotency == '' and not full then
    -- The receipt is the mark: one call for both, for nearly all messages.
    local lines = head .. plan.lines
    if plan.open then isNew = redis.call('SET', receipt, lines, 'NX') else isNew = redis.call('SET', receipt, lines, 'NX', 'PX', windowMs) end
  end
  if not isNew then known = redis.call('GET', receipt) end
  if known then
    if string.sub(known, 1, 1) == '=' then answer = '1' .. string.sub(known, 2)
    elseif string.sub(known, 1, #token + 1) ~= token .. '\\t' then answer = '1' .. id end
  elseif not isNew and idempotency ~= '' and redis.call('EXISTS', P .. 'i:' .. idempotency) == 1 then
    local first = redis.call('GET', P .. 'i:' .. idempotency)
    answer = '1' .. first
    -- Whoever asks for the receipt of the second gets that of the first.
    redis.call('SET', receipt, '=' .. first, 'PX', windowMs)
  elseif full then
    answer = '2' .. full
  else
    if not isNew then
      local lines = head .. plan.lines
      if plan.open then redis.call('SET', receipt, lines) else redis.call('SET', receipt, lines, 'PX', windowMs) end
    end
    for _, sub in ipairs(plan.subs) do
      local entry
      if notBefore ~= '' then
        entry = redis.call('XADD', sub.q, '*', 'h', header, 'p', payload, 'k', key, 'i', id, 'b', notBefore)
      elseif plan.alone then
        entry = redis.call('XADD', sub.q, '*', 'h', header, 'p', payload, 'k', key, 'i', id, 'r', head)
      else
        entry = redis.call('XADD', sub.q, '*', 'h', header, 'p', payload, 'k', key, 'i', id)
      end
      room[sub.n] = room[sub.n] - 1
      woken[sub.n] = true
      if expires ~= '' then redis.call('ZADD', P .. 'e', expires, sub.n .. '\\t' .. entry) end
    end
    if idempotency ~= '' then redis.call('SET', P .. 'i:' .. idempotency, id, 'PX', windowMs) end
    if #plan.keeps > 0 then
      local position = string.format('%.0f', redis.call('INCR', P .. 'pos'))
      for _, keep in ipairs(plan.keeps) do
        local kept = P .. 'k:' .. keep.n
        redis.call('XADD', kept, '*', 'n', position, 'h', header, 'p', payload, 'k', key, 'i', id, 's', plan.subject)
        if keep.m then redis.call('XTRIM', kept, 'MAXLEN', keep.m) end
        if keep.a then redis.call('XTRIM', kept, 'MINID', string.format('%.0f', now - keep.a)) end
      end
    end
    if isHeard(plan.subject) then
      local frame = token .. '\\t' .. #header .. '\\n' .. header .. payload
      if redis.call('PUBLISH', P .. '!m:' .. plan.subject, frame) > 0 then answer = '3' end
    end
  end
  out[#out + 1] = answer
end
for name in pairs(woken) do redis.call('PUBLISH', P .. '!w:' .. name, '') end
return out
`;

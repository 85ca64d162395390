/**
 * The scripts that change the table of subscriptions, and that answer what a broker asks about its messages.
 *
 * Owns: joining and ending subscriptions, what a new one gets of the past, receipts, dead letters sent again or dropped.
 */
import { RECORD_TOOLS } from './script-tools.ts';

/** Retained patterns by name, without what is beyond their limits by now: otherwise only the next message of a pattern drops that. */
const RETAINED = `${RECORD_TOOLS}
local function retained()
  local names, keeps = {}, redis.call('HGETALL', P .. 'keeps')
  for i = 1, #keeps, 2 do
    local limits = cjson.decode(keeps[i + 1])
    trim(P .. 'k:' .. keeps[i], limits.messages, limits.ageMs)
    names[#names + 1] = keeps[i]
  end
  return names
end
`;

/**
 * ARGV: name, spec as JSON, pattern, from (`now`, `beginning`, `position`, `time`), and its number. Answers `OK`, or the pattern that
 * the subscription exists with. The past is copied in one call: what is retained is bounded by its limits.
 */
export const SUBSCRIBE_SCRIPT = `${RETAINED}
local name, spec, pattern, from, bound = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local old = redis.call('HGET', P .. 'subs', name)
if old then
  local was = cjson.decode(old).pattern
  if was ~= pattern then return was end
end
if old ~= spec then
  redis.call('HSET', P .. 'subs', name, spec)
  redis.call('INCR', P .. 'ver')
end
local q = P .. 'q:' .. name
if redis.call('EXISTS', q) == 0 or #redis.call('XINFO', 'GROUPS', q) == 0 then redis.call('XGROUP', 'CREATE', q, 'g', '0', 'MKSTREAM') end
if old or from == 'now' then return 'OK' end

local function tokensOf(text)
  local tokens = {}
  for token in string.gmatch(text, '[^.]+') do tokens[#tokens + 1] = token end
  return tokens
end
local wanted = tokensOf(pattern)
local function matches(subject)
  if string.sub(subject, 1, 1) == '$' and string.sub(pattern, 1, 1) ~= '$' then return false end
  local tokens = tokensOf(subject)
  for i, token in ipairs(wanted) do
    if token == '>' then return #tokens >= i end
    if not tokens[i] or (token ~= '*' and token ~= tokens[i]) then return false end
  end
  return #tokens == #wanted
end
local past, seen = {}, {}
for _, keep in ipairs(retained()) do
  local start = '-'
  if from == 'time' then start = text(bound) end
  while true do
    local entries = redis.call('XRANGE', P .. 'k:' .. keep, start, '+', 'COUNT', 500)
    for _, entry in ipairs(entries) do
      local f = entry[2]
      local position = tonumber(f[2])
      if f[1] == 'n' and f[7] == 's' and not seen[position] and matches(f[8]) and (from ~= 'position' or position >= bound) then
        seen[position] = true
        past[#past + 1] = {position, f}
      end
    end
    if #entries < 500 then break end
    start = '(' .. entries[500][1]
  end
end
table.sort(past, function(a, b) return a[1] < b[1] end)
for _, one in ipairs(past) do
  local f = one[2]
  redis.call('XADD', q, '*', 'm' .. f[6], f[4])
end
if #past > 0 then redis.call('PUBLISH', P .. '!w:' .. name, '') end
return 'OK'
`;

/** ARGV: name. Records of what waited lose their line. */
export const UNSUBSCRIBE_SCRIPT = `${RECORD_TOOLS}
local sub = ARGV[1]
if redis.call('HDEL', P .. 'subs', sub) == 0 then return 0 end
redis.call('INCR', P .. 'ver')
local q = P .. 'q:' .. sub
local start = '-'
while true do
  local entries = redis.call('XRANGE', q, start, '+', 'COUNT', 500)
  for _, entry in ipairs(entries) do
    local id = idOf(entry[2][2])
    local left, rest = string.match(recordOf(id) or '', '^(%d+)(.*)$')
    if left then
      local open, lines = tonumber(left), ''
      for line in string.gmatch(rest, '[^\\n]+') do
        local name, state = string.match(line, '^([^\\t]*)\\t(%a)')
        if name ~= sub then lines = lines .. '\\n' .. line
        elseif state ~= 'h' and state ~= 'x' then open = open - 1 end
      end
      keepRecord(id, open, lines)
    end
  end
  if #entries < 500 then break end
  start = '(' .. entries[500][1]
end
for _, key in ipairs(redis.call('HKEYS', P .. 'l:' .. sub)) do redis.call('DEL', P .. 'h:' .. sub .. ':' .. key) end
for _, kind in ipairs({'q', 'y', 'd', 'a', 'l', 'c'}) do redis.call('DEL', P .. kind .. ':' .. sub) end
redis.call('PUBLISH', P .. '!w:' .. sub, 'ended')
return 1
`;

/** ARGV: pattern, limits as JSON. */
export const RETAIN_SCRIPT = `
local P = KEYS[1]
if redis.call('HGET', P .. 'keeps', ARGV[1]) == ARGV[2] then return 0 end
redis.call('HSET', P .. 'keeps', ARGV[1], ARGV[2])
redis.call('INCR', P .. 'ver')
return 1
`;

/** Answers for each retained pattern its name, the position of its first message, if it has one, and the next position of all. */
export const RETAINED_SCRIPT = `${RETAINED}
local next = text((redis.call('GET', P .. 'pos') or 0) + 1)
local out = {}
for _, keep in ipairs(retained()) do
  local first = redis.call('XRANGE', P .. 'k:' .. keep, '-', '+', 'COUNT', 1)[1]
  out[#out + 1] = keep
  out[#out + 1] = first and first[2][1] == 'n' and first[2][2] or next
  out[#out + 1] = next
end
return out
`;

/** ARGV: id, a process that wants to be told when it is settled, or nothing. Answers: the record, lines in hand, replies, the id. */
export const RECEIPT_SCRIPT = `${RECORD_TOOLS}
local id = ARGV[1]
local record = recordOf(id)
if record and string.sub(record, 1, 1) == '=' then
  id = string.sub(record, 2)
  record = recordOf(id)
end
if not record then return {} end
local open = tonumber(string.match(record, '^%d+'))
local hands, replies = {}, {}
for name, state, at in string.gmatch(record, '\\n([^\\t\\n]*)\\t(%a)\\t([^\\t]*)') do
  if state == 'a' and open > 0 then
    local p
    -- Its entry has the time at which it was accepted, or little more.
    for _, entry in ipairs(redis.call('XRANGE', P .. 'q:' .. name, at, text(tonumber(at) + 2), 'COUNT', 2000)) do
      if idOf(entry[2][2]) == id then p = redis.call('XPENDING', P .. 'q:' .. name, 'g', entry[1], entry[1], 1)[1] break end
    end
    if p and p[2] ~= '#' then
      for _, value in ipairs({name, p[3], p[4]}) do hands[#hands + 1] = value end
    end
  elseif state == 'h' then
    local field = id .. '\\t' .. name
    local reply = redis.call('HGET', P .. 'v', field) or redis.call('HGET', P .. 'v-', field)
    if reply then
      replies[#replies + 1] = name
      replies[#replies + 1] = reply
    end
  end
end
if open > 0 and ARGV[2] ~= '' then
  local waiters = redis.call('HGET', w, id)
  if not waiters then redis.call('HSET', w, id, ARGV[2])
  elseif not string.find(',' .. waiters .. ',', ',' .. ARGV[2] .. ',', 1, true) then
    redis.call('HSET', w, id, waiters .. ',' .. ARGV[2])
  end
end
return {record, hands, replies, id}
`;

/** Answers name, pattern, how many are not settled, how many are dead, for each. */
export const SUBSCRIPTIONS_SCRIPT = `
local P = KEYS[1]
local out = {}
local subs = redis.call('HGETALL', P .. 'subs')
for i = 1, #subs, 2 do
  local q = P .. 'q:' .. subs[i]
  local waiting = redis.call('XLEN', q)
  for _, value in ipairs({subs[i], cjson.decode(subs[i + 1]).pattern, waiting, redis.call('HGET', P .. 'xc', subs[i]) or '0'}) do
    out[#out + 1] = value
  end
end
return out
`;

/**
 * ARGV: how often a letter may be sent again, ids of dead letters. Each goes to the end of its subscription, as new, and its receipt is
 * open again. Answers how many.
 */
export const REDRIVE_SCRIPT = `${RECORD_TOOLS}
local done = 0
local woken = {}
for at = 2, #ARGV do
  local letter = ARGV[at]
  local entry = redis.call('XRANGE', P .. 'x', letter, letter)[1]
  local f = {}
  if entry then for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end end
  if f.s and f.m and string.sub(f.m, 1, 2) ~= '0\\n' and tonumber(f.d) < tonumber(ARGV[1]) and redis.call('HEXISTS', P .. 'subs', f.s) == 1 then
    local id = redis.call('XADD', P .. 'q:' .. f.s, '*', 'm' .. f.k, f.m)
    redis.call('HSET', P .. 'a:' .. f.s, id, '1\\t0\\t' .. (tonumber(f.d) + 1) .. '\\t0\\t0')
    redis.call('XDEL', P .. 'x', letter)
    redis.call('HINCRBY', P .. 'xc', f.s, -1)
    local left, rest = string.match(recordOf(f.i) or ('0\\n' .. f.s .. '\\tx'), '^(%d+)(.*)$')
    local lines, open = '', tonumber(left)
    for line in string.gmatch(rest, '[^\\n]+') do
      local name, state = string.match(line, '^([^\\t]*)\\t(%a)')
      if name == f.s and state == 'x' then
        line = name .. '\\ta\\t' .. nowText .. '\\t0\\t'
        open = open + 1
      end
      lines = lines .. '\\n' .. line
    end
    keepRecord(f.i, open, lines)
    woken[f.s] = true
    done = done + 1
  end
end
for name in pairs(woken) do redis.call('PUBLISH', P .. '!w:' .. name, '') end
return done
`;

/** ARGV: ids of dead letters. Answers how many there were. */
export const PURGE_SCRIPT = `
local P = KEYS[1]
local done = 0
for _, letter in ipairs(ARGV) do
  local entry = redis.call('XRANGE', P .. 'x', letter, letter)[1]
  if entry then
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 's' then redis.call('HINCRBY', P .. 'xc', entry[2][i + 1], -1) end
    end
    done = done + redis.call('XDEL', P .. 'x', letter)
  end
end
return done
`;

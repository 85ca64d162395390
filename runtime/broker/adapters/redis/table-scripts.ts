/**
 * The scripts that change the table of subscriptions, and that answer what a broker asks about its messages.
 *
 * Owns: joining and ending subscriptions, what a new one gets of the past, receipts, dead letters sent again or dropped.
 */

/**
 * ARGV: name, spec as JSON, pattern, from (`now`, `beginning`, `position`, `time`), and its number. Answers `OK`, or the pattern that
 * the subscription exists with. The past is copied in one call: what is retained is bounded by its limits.
 */
export const SUBSCRIBE_SCRIPT = `
local P = KEYS[1]
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
for _, keep in ipairs(redis.call('HKEYS', P .. 'keeps')) do
  local start = '-'
  if from == 'time' then start = string.format('%.0f', bound) end
  while true do
    local entries = redis.call('XRANGE', P .. 'k:' .. keep, start, '+', 'COUNT', 500)
    for _, entry in ipairs(entries) do
      local f = entry[2]
      local position = tonumber(f[2])
      if f[1] == 'n' and f[11] == 's' and not seen[position] and matches(f[12]) and (from ~= 'position' or position >= bound) then
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
  redis.call('XADD', q, '*', 'h', f[4], 'p', f[6], 'k', f[8], 'i', f[10])
end
if #past > 0 then redis.call('PUBLISH', P .. '!w:' .. name, '') end
return 'OK'
`;

/** ARGV: name, how long receipts are kept. Receipts of what waited lose their line. */
export const UNSUBSCRIBE_SCRIPT = `
local P = KEYS[1]
local sub, ttlMs = ARGV[1], ARGV[2]
if redis.call('HDEL', P .. 'subs', sub) == 0 then return 0 end
redis.call('INCR', P .. 'ver')
local q = P .. 'q:' .. sub
local start = '-'
while true do
  local entries = redis.call('XRANGE', q, start, '+', 'COUNT', 500)
  for _, entry in ipairs(entries) do
    local f = entry[2]
    local receipt = P .. 'r:' .. (f[8] or '')
    local token, at, left, rest = string.match(redis.call('GET', receipt) or '', '^([^\\t]*)\\t([^\\t]*)\\t(%d+)(.*)$')
    if token then
      local open, lines = tonumber(left), ''
      for line in string.gmatch(rest, '[^\\n]+') do
        local name, state = string.match(line, '^([^\\t]*)\\t(%a)')
        if name ~= sub then lines = lines .. '\\n' .. line
        elseif state ~= 'h' and state ~= 'x' then open = open - 1 end
      end
      local value = token .. '\\t' .. at .. '\\t' .. open .. lines
      if open > 0 then redis.call('SET', receipt, value) else
        redis.call('SET', receipt, value, 'PX', ttlMs)
        for process in string.gmatch(redis.call('HGET', P .. 'w', f[8]) or '', '[^,]+') do
          redis.call('PUBLISH', P .. '!s:' .. process, f[8])
        end
        redis.call('HDEL', P .. 'w', f[8])
      end
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

/** ARGV: id, a process that wants to be told when it is settled, or nothing. Answers: the receipt's text, lines in hand, replies. */
export const RECEIPT_SCRIPT = `
local P = KEYS[1]
local id = ARGV[1]
local text = redis.call('GET', P .. 'r:' .. id)
if text and string.sub(text, 1, 1) == '=' then
  id = string.sub(text, 2)
  text = redis.call('GET', P .. 'r:' .. id)
end
if not text then return {} end
local open = tonumber(string.match(text, '^[^\\t]*\\t[^\\t]*\\t(%d+)'))
local hands = {}
if open > 0 then
  for name, state, at in string.gmatch(text, '\\n([^\\t\\n]*)\\t(%a)\\t([^\\t]*)') do
    if state == 'a' then
      local p
      -- Its entry has the time at which it was accepted, or little more.
      local last = string.format('%.0f', tonumber(at) + 2)
      for _, entry in ipairs(redis.call('XRANGE', P .. 'q:' .. name, at, last, 'COUNT', 2000)) do
        if entry[2][8] == id then p = redis.call('XPENDING', P .. 'q:' .. name, 'g', entry[1], entry[1], 1)[1] end
      end
      if p and p[2] ~= '#' then
        hands[#hands + 1] = name
        hands[#hands + 1] = p[3]
        hands[#hands + 1] = p[4]
      end
    end
  end
  if ARGV[2] ~= '' then
    local waiters = redis.call('HGET', P .. 'w', id)
    if not waiters then redis.call('HSET', P .. 'w', id, ARGV[2])
    elseif not string.find(',' .. waiters .. ',', ',' .. ARGV[2] .. ',', 1, true) then
      redis.call('HSET', P .. 'w', id, waiters .. ',' .. ARGV[2])
    end
  end
end
return {text, hands, redis.call('HGETALL', P .. 'v:' .. id), id}
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
export const REDRIVE_SCRIPT = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local done = 0
local woken = {}
for at = 2, #ARGV do
  local letter = ARGV[at]
  local entry = redis.call('XRANGE', P .. 'x', letter, letter)[1]
  local f = {}
  if entry then for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end end
  if f.s and f.h ~= '' and tonumber(f.d) < tonumber(ARGV[1]) and redis.call('HEXISTS', P .. 'subs', f.s) == 1 then
    local q = P .. 'q:' .. f.s
    local id = redis.call('XADD', q, '*', 'h', f.h, 'p', f.p, 'k', f.k, 'i', f.i)
    redis.call('HSET', P .. 'a:' .. f.s, id, '1\\t0\\t' .. (tonumber(f.d) + 1) .. '\\t0')
    redis.call('XDEL', P .. 'x', letter)
    redis.call('HINCRBY', P .. 'xc', f.s, -1)
    local receipt = P .. 'r:' .. f.i
    local token, at, left, rest = string.match(redis.call('GET', receipt) or ('\\t' .. now .. '\\t0\\n' .. f.s .. '\\tx'), '^([^\\t]*)\\t([^\\t]*)\\t(%d+)(.*)$')
    local lines, open = '', tonumber(left)
    for line in string.gmatch(rest, '[^\\n]+') do
      local name, state = string.match(line, '^([^\\t]*)\\t(%a)')
      if name == f.s and state == 'x' then
        line = name .. '\\ta\\t' .. now .. '\\t0\\t'
        open = open + 1
      end
      lines = lines .. '\\n' .. line
    end
    redis.call('SET', receipt, token .. '\\t' .. at .. '\\t' .. open .. lines)
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

-- What all scripts share. KEYS[1] is the organization's prefix, from which every other key is made;
-- ARGV[1] is the request as JSON, whose numbers are decimal strings: times are microseconds. What a
-- script is given besides, it gets as it is kept.
--
--   prefix:c:…        a counter (hash)      open, and used, reserved, until of a budget, or of a rate
--                                           seq, amounts, b:AMOUNT, h:AMOUNT:SEQ;
--                                           pending, count while it is read from the book (cut.lua)
--   prefix:r:ID       a reservation (hash)  time, bound, booked, claims, entry
--   prefix:done:ID    withdrawn, charged or abandoned: no reservation of this id is made any more
--   prefix:open       its id by its expiry; prefix:whose  whom it is of
--   prefix:counters   names of counters;    prefix:entries  the stream to the book
--   prefix:generation, prefix:born          missing where data were lost
local prefix = KEYS[1]
local request = cjson.decode(ARGV[1])
local HOUR_MS, DAY_MS = 3600000, 86400000

local function key(name, id)
  return prefix .. ':' .. name .. (id and ':' .. id or '')
end

local function whole(number) return string.format('%.0f', number) end

local function micros()
  if request.now then return request.now end
  local time = redis.call('TIME')
  return time[1] .. string.format('%06d', tonumber(time[2]))
end

local function is_there(counter) return get(counter, 'open') end

local function is_ready(counter) return get(counter, 'open') and not get(counter, 'pending') end

-- Read in one step what a script will want of a counter; `amount` is the one that is asked about.
local function fetch_counter(kind, counter, amount)
  if kind == 'rate' then
    fetch(counter, { 'open', 'pending', 'seq', 'amounts', 'unit', amount and 'b:' .. amount })
  else
    fetch(counter, { 'open', 'pending', 'used', 'reserved', 'until' })
  end
end

-- Buckets: one for each amount of a rate; gateway/quota/counter.py says how they drain. Each is
-- read from its field once, and becomes its field's text again when all is written.
local read, kept = {}, {}

local function name_of(counter, amount) return counter .. ' ' .. amount end

local function bucket_of(counter, amount)
  local name = name_of(counter, amount)
  if read[name] then return read[name] end
  local text = get(counter, 'b:' .. amount)
  local settled, held, at, asked_at, head = string.match(text, '(%d+) (%d+) (%d+) (%d+) (%d+)')
  read[name] = {
    counter = counter, amount = amount, settled = big.of(settled), held = big.of(held),
    at = tonumber(at), asked_at = tonumber(asked_at), head = tonumber(head),
  }
  return read[name]
end

local function keep(bucket)
  local name = name_of(bucket.counter, bucket.amount)
  read[name], kept[name] = bucket, bucket
end

local function write_counters()
  for _, bucket in pairs(kept) do
    local text = table.concat({
      big.text(bucket.settled), big.text(bucket.held),
      whole(bucket.at), whole(bucket.asked_at), whole(bucket.head),
    }, ' ')
    set(bucket.counter, 'b:' .. bucket.amount, text)
  end
  kept = {}
  write_fields()
end

local function hold_of(amount, seq) return 'h:' .. amount .. ':' .. whole(seq) end

local function take_from_oldest(bucket, ticks)
  local seq = tonumber(get(bucket.counter, 'seq'))
  while ticks ~= 0 and bucket.head <= seq do
    local field = hold_of(bucket.amount, bucket.head)
    local text = get(bucket.counter, field)
    if text then
      local left = big.of(text)
      if big.less(ticks, left) then
        set(bucket.counter, field, big.text(big.over(left, ticks)))
        return
      end
      set(bucket.counter, field)
      ticks = big.over(ticks, left)
    end
    bucket.head = bucket.head + 1
  end
end

local function drain(bucket, at)
  if at <= bucket.at then return end
  local ticks = big.mul(big.of(whole(at - bucket.at)), big.of(bucket.amount))
  bucket.at = at
  local settled = big.least(ticks, bucket.settled)
  bucket.settled = big.over(bucket.settled, settled)
  ticks = big.least(big.over(ticks, settled), bucket.held)
  bucket.held = big.over(bucket.held, ticks)
  take_from_oldest(bucket, ticks)
end

local function amounts_of(counter)
  local amounts = {}
  for amount in string.gmatch(get(counter, 'amounts') or '', '%d+') do
    amounts[#amounts + 1] = amount
  end
  return amounts
end

local function buckets_of(counter, at)
  local buckets = {}
  for i, amount in ipairs(amounts_of(counter)) do
    buckets[i] = bucket_of(counter, amount)
    drain(buckets[i], at)
  end
  return buckets
end

local function name_amounts(counter, buckets)
  local amounts = {}
  for i, bucket in ipairs(buckets) do amounts[i] = bucket.amount end
  set(counter, 'amounts', table.concat(amounts, ' '))
end

local function with_amount(from, amount)
  for number = from.head, tonumber(get(from.counter, 'seq')) do
    local left = get(from.counter, hold_of(from.amount, number))
    if left then set(from.counter, hold_of(amount, number), left) end
  end
  return {
    counter = from.counter, amount = amount, settled = amount == '0' and 0 or from.settled,
    held = from.held, at = from.at, asked_at = from.at, head = from.head,
  }
end

local function drop(bucket)
  local name = name_of(bucket.counter, bucket.amount)
  read[name], kept[name] = nil, nil
  set(bucket.counter, 'b:' .. bucket.amount)
  for number = bucket.head, tonumber(get(bucket.counter, 'seq')) do
    set(bucket.counter, hold_of(bucket.amount, number))
  end
end

local function nearest(buckets, amount)
  local best, least
  local wanted = big.of(amount)
  for _, bucket in ipairs(buckets) do
    local other = big.of(bucket.amount)
    local distance = big.add(big.over(other, wanted), big.over(wanted, other))
    if not best or big.less(distance, least) then best, least = bucket, distance end
  end
  return best
end

-- The bucket that a claim asks about, drained; amounts nobody asks about any more are dropped.
local function asked_bucket(claim, at)
  if get(claim.key, 'amounts') == claim.amount then
    local bucket = bucket_of(claim.key, claim.amount)
    drain(bucket, at)
    bucket.asked_at = at
    keep(bucket)
    return bucket
  end
  local buckets, found, still = buckets_of(claim.key, at), nil, {}
  for _, bucket in ipairs(buckets) do
    if bucket.amount == claim.amount then found = bucket end
  end
  if not found then
    found = with_amount(nearest(buckets, claim.amount), claim.amount)
    buckets[#buckets + 1] = found
  end
  found.asked_at = at
  for _, bucket in ipairs(buckets) do
    if bucket.asked_at + tonumber(claim.unit) < at then
      drop(bucket)
    else
      keep(bucket)
      still[#still + 1] = bucket
    end
  end
  name_amounts(claim.key, still)
  return found
end

-- Kinds of counters. A budget adds up, slots only hold, a rate drains.
local budget, slots, rate = {}, {}, {}
local kinds = { budget = budget, slots = slots, rate = rate }

local function sums(counter)
  return big.of(get(counter, 'used') or '0'), big.of(get(counter, 'reserved') or '0')
end

-- What the window before left unused, as far as it is carried over into this one.
local function carried(claim)
  if not claim.previous then return 0 end
  local used, reserved = sums(claim.previous)
  local left = big.over(big.of(claim.amount), big.add(used, reserved))
  return big.least(big.of(claim.rollover), left)
end

function budget.fits(claim)
  local asked = request.asked[claim.measure]
  if asked == '0' then return true end
  local used, reserved = sums(claim.key)
  local total = big.add(big.add(used, reserved), big.of(asked))
  return not big.less(big.add(big.of(claim.amount), carried(claim)), total)
end

function budget.state(claim)
  local used, reserved = sums(claim.key)
  return { big.text(used), big.text(reserved), big.text(carried(claim)) }
end

function budget.hold(counter, asked)
  local _, reserved = sums(counter)
  set(counter, 'reserved', big.text(big.add(reserved, big.of(asked))))
end

function budget.add(counter, used)
  local before = sums(counter)
  set(counter, 'used', big.text(big.add(before, big.of(used))))
end

function budget.resolve(held, used)
  local _, reserved = sums(held.key)
  set(held.key, 'reserved', big.text(big.over(reserved, big.of(held.asked))))
  budget.add(held.key, used)
end

function budget.idle_ms(counter, now)
  local ends = tonumber(get(counter, 'until') or '')
  if not ends then return HOUR_MS end
  return math.max(HOUR_MS, math.ceil((ends - tonumber(now)) / 1000) + DAY_MS)
end

slots.fits, slots.state, slots.hold = budget.fits, budget.state, budget.hold

function slots.add() end

function slots.resolve(held) budget.resolve(held, '0') end

function slots.idle_ms() return HOUR_MS end

function rate.fits(claim, now)
  local bucket = asked_bucket(claim, tonumber(now))
  local asked = request.asked[claim.measure]
  if asked == '0' then return true end
  local unit = big.of(claim.unit)
  local debt = big.add(bucket.settled, bucket.held)
  local total = big.add(debt, big.mul(big.of(asked), unit))
  return not big.less(big.mul(big.of(claim.amount), unit), total)
end

function rate.state(claim, now)
  local bucket = asked_bucket(claim, tonumber(now))
  return { big.text(bucket.settled), big.text(bucket.held), whole(bucket.at) }
end

function rate.hold(counter, asked, now, unit)
  local seq = tonumber(get(counter, 'seq') or '0') + 1
  set(counter, 'seq', whole(seq))
  local ticks = big.mul(big.of(asked), big.of(unit))
  for _, bucket in ipairs(buckets_of(counter, tonumber(now))) do
    if ticks ~= 0 then
      set(counter, hold_of(bucket.amount, seq), big.text(ticks))
      bucket.held = big.add(bucket.held, ticks)
    end
    keep(bucket)
  end
  return whole(seq)
end

local function owe(bucket, ticks)
  if bucket.amount ~= '0' then bucket.settled = big.add(bucket.settled, ticks) end
end

function rate.add(counter, used, now, unit)
  local ticks = big.mul(big.of(used), big.of(unit))
  for _, bucket in ipairs(buckets_of(counter, tonumber(now))) do
    owe(bucket, ticks)
    keep(bucket)
  end
end

function rate.resolve(held, used, now)
  local unit = big.of(held.unit)
  local asked, ticks = big.mul(big.of(held.asked), unit), big.mul(big.of(used), unit)
  for _, bucket in ipairs(buckets_of(held.key, tonumber(now))) do
    local field = hold_of(bucket.amount, tonumber(held.seq))
    local left = big.of(get(held.key, field) or '0')
    set(held.key, field)
    bucket.held = big.over(bucket.held, left)
    owe(bucket, big.over(ticks, big.over(asked, left)))
    keep(bucket)
  end
end

-- Two windows beyond the time at which the slowest bucket is full: then it may be taken for full.
function rate.idle_ms(counter, now)
  local unit = tonumber(get(counter, 'unit'))
  local longest = 0
  for _, bucket in ipairs(buckets_of(counter, tonumber(now))) do
    local debt = tonumber(big.text(big.add(bucket.settled, bucket.held)))
    if bucket.amount ~= '0' then longest = math.max(longest, debt / tonumber(bucket.amount)) end
    keep(bucket)
  end
  return math.ceil((2 * unit + longest) / 1000) + 1000
end

-- Nothing that holds a reservation expires; what the book knows, or time replaces, does.
local function let_rest(kind, counter, now)
  if request.now then return end  -- Redis forgets by its own clock only
  rests[counter] = whole(kinds[kind].idle_ms(counter, now))
end

-- Count those that hold a counter; how many do now.
local function count_open(counter, more)
  local open = tonumber(get(counter, 'open') or '0') + more
  set(counter, 'open', whole(open))
  return open
end

local function hold(kind, counter, measure, asked, now, unit)
  if count_open(counter, 1) == 1 then rests[counter] = false end
  local seq = kinds[kind].hold(counter, asked, now, unit)
  return { key = counter, kind = kind, measure = measure, asked = asked, unit = unit, seq = seq }
end

-- Begin to read counters from the book: what is resolved by now, the book or the stream knows; what
-- is open now is held by the counter, and resolved there. So the use at this time is what both know
-- of entries up to it, but for the ids that are open; load.lua adds it. Two that race join.
-- → for each counter {time, ids}, or {} where it can be used as it is.
local now = micros()

local function is_of(text, counter)
  local time = tonumber(string.match(text, '^%d+'))
  if counter.since and time < tonumber(counter.since) then return false end
  if counter['until'] and time >= tonumber(counter['until']) then return false end
  for _, line in ipairs(counter.lines) do
    if not string.find(text, line, 1, true) then return false end
  end
  return true
end

-- In the order in which they were made, as buckets drain the oldest first; a hash has none.
local function open_ids(counter, all)
  local ids, order = {}, {}
  for i = 1, #all, 2 do
    if is_of(all[i + 1], counter) then
      ids[#ids + 1] = all[i]
      order[all[i]] = tonumber(string.match(all[i + 1], '^%d+ (%d+)'))
    end
  end
  table.sort(ids, function(one, other) return order[one] < order[other] end)
  return ids
end

local function make(counter, ids)
  set(counter.key, 'open', '0')
  if counter.kind == 'rate' then
    set(counter.key, 'unit', counter.unit)
    set(counter.key, 'seq', '0')
    set(counter.key, 'amounts', counter.amount)
    keep({
      counter = counter.key, amount = counter.amount, settled = 0, held = 0,
      at = tonumber(now), asked_at = tonumber(now), head = 1,
    })
  else
    set(counter.key, 'used', '0')
    set(counter.key, 'reserved', '0')
    set(counter.key, 'until', counter['until'] or '')
  end
  for _, id in ipairs(ids) do
    local found = redis.call('HMGET', key('r', id), 'bound', 'booked')
    local asked = cjson.decode(found[1])[counter.measure]
    local booked = cjson.decode(found[2])
    booked[#booked + 1] =
      hold(counter.kind, counter.key, counter.measure, asked, now, counter.unit)
    redis.call('HSET', key('r', id), 'booked', cjson.encode(booked))
  end
  redis.call('SADD', key('counters'), counter.key)
end

local function begin_again(counter)
  if counter.kind ~= 'rate' then
    set(counter.key, 'used', '0')
    return
  end
  for _, bucket in ipairs(buckets_of(counter.key, tonumber(now))) do
    bucket.settled = 0
    keep(bucket)
  end
end

local function forget_some()
  local some = redis.call('SRANDMEMBER', key('counters'), 2 * #request.counters)
  for _, name in ipairs(some) do
    if redis.call('EXISTS', name) == 0 then redis.call('SREM', key('counters'), name) end
  end
end

forget_some()
local all = redis.call('HGETALL', key('whose'))
local answer = {}
for i, counter in ipairs(request.counters) do
  fetch_counter(counter.kind, counter.key)
  local is_new, is_pending = not is_there(counter.key), get(counter.key, 'pending')
  local text = get(counter.key, 'count')
  answer[i] = {}
  if text then
    local count = cjson.decode(text)
    answer[i] = { count.time, count.ids }
  elseif is_new or is_pending or request.again then
    local ids = open_ids(counter, all)
    if is_new then
      make(counter, ids)
    elseif is_pending then
      begin_again(counter)
    end
    if counter.from_book then
      local used = get(counter.key, 'used') or '0'
      set(counter.key, 'count', cjson.encode({ time = now, ids = ids, used = used }))
      if is_new then set(counter.key, 'pending', '1') end
      answer[i] = { now, ids }
    end
    if get(counter.key, 'open') == '0' then
      let_rest(counter.kind, counter.key, now)
    end
  end
end
write_counters()
return cjson.encode(answer)

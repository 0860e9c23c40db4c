-- Questions and their answers, and how a reservation is resolved.

local function answer_of(fields) return cjson.encode(fields) end

-- nil, or why nothing can be said yet: the data are gone, the time is in another window than the
-- claims, or counters are missing.
local function obstacle(claims, now)
  local known = redis.call('MGET', key('generation'), key('born'))
  if not (known[1] and known[2]) then return answer_of({ lost = true, now = now }) end
  local at = tonumber(now)
  if at < tonumber(request.since) or (request['until'] and at >= tonumber(request['until'])) then
    return answer_of({ moved = true, now = now })
  end
  local missing = {}
  for _, claim in ipairs(claims) do
    fetch_counter(claim.kind, claim.key, claim.amount)
    if not is_ready(claim.key) then missing[#missing + 1] = claim.key end
    if claim.previous then
      fetch_counter('budget', claim.previous)
      if not is_ready(claim.previous) then missing[#missing + 1] = claim.previous end
    end
  end
  if #missing > 0 then
    return answer_of({ missing = missing, now = now, born = known[2] })
  end
end

local function all_fit(claims, now)
  local fit = true
  for _, claim in ipairs(claims) do
    if not kinds[claim.kind].fits(claim, now) and claim.enforced then fit = false end
  end
  return fit
end

local function states_of(claims, now)
  local states = {}
  for i, claim in ipairs(claims) do states[i] = kinds[claim.kind].state(claim, now) end
  return states
end

local function verdict(claims, granted, now)
  return answer_of({
    granted = granted, now = now, generation = redis.call('GET', key('generation')),
    states = states_of(claims, now),
  })
end

local function post(entry, time)
  redis.call('XADD', key('entries'), '*', 'entry', entry, 'time', time)
end

-- Give back what is held and add what was used (by measure); `entry` is posted, if there is one:
-- first, as a script that Redis ends with an error keeps what it has done. To be ended by `forget`.
local function resolve(id, used, entry, now)
  local found = redis.call('HMGET', key('r', id), 'time', 'booked')
  if entry then post(entry, found[1]) end
  for _, held in ipairs(cjson.decode(found[2])) do
    fetch_counter(held.kind, held.key)
    if is_there(held.key) then
      kinds[held.kind].resolve(held, used[held.measure], now)
      if count_open(held.key, -1) == 0 and is_ready(held.key) then
        let_rest(held.kind, held.key, now)
      end
    end
  end
end

local function forget(id)
  write_counters()
  redis.call('DEL', key('r', id))
  redis.call('ZREM', key('open'), id)
  redis.call('HDEL', key('whose'), id)
end

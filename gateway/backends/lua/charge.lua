-- Book what was used without a reservation, once for each id, into the counters that there are: the
-- others will read it from the stream or the book. A counter that is being read begins again. No
-- entry is of a time that is still to come, or who reads a counter now would not look for it.
-- What was reserved unheard is resolved instead; what was booked at its bound stays so.
local now = micros()
local past = redis.call('GET', key('done', request.id))
if past == 'charged' or past == 'abandoned' then return 0 end
if redis.call('EXISTS', key('r', request.id)) == 1 then
  resolve(request.id, request.used, request.entry, now)
  forget(request.id)
  return 1
end
post(request.entry, tonumber(request.time) > tonumber(now) and now or request.time)
redis.call('SET', key('done', request.id), 'charged', 'PX', DAY_MS)
for _, counter in ipairs(request.counters) do
  if is_there(counter.key) then
    kinds[counter.kind].add(counter.key, request.used[counter.measure], now, counter.unit)
    set(counter.key, 'count')
  end
end
write_counters()
return 1

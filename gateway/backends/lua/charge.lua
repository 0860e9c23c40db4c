-- Book what was used without a reservation, once for each id, into the counters that there are: the
-- others will read it from the stream or the book. A counter that is being read begins again.
if redis.call('GET', key('done', request.id)) == 'charged' then return 0 end
redis.call('SET', key('done', request.id), 'charged', 'PX', DAY_MS)
local now = micros()
for _, counter in ipairs(request.counters) do
  if is_there(counter.key) then
    kinds[counter.kind].add(counter.key, request.used[counter.measure], now, counter.unit)
    redis.call('HDEL', counter.key, 'count')
  end
end
post(request.entry, request.time)
return 1

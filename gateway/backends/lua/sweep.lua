-- Book expired reservations at their bound, so many at most. → how many there were.
local now = micros()
local ids =
  redis.call('ZRANGEBYSCORE', key('open'), '-inf', now, 'LIMIT', 0, tonumber(request.most))
for _, id in ipairs(ids) do
  local found = redis.call('HMGET', key('r', id), 'bound', 'entry')
  if found[1] then
    resolve(id, cjson.decode(found[1]), found[2], now)
    forget(id)
    redis.call('SET', key('done', id), 'abandoned', 'PX', DAY_MS)
  else
    redis.call('ZREM', key('open'), id)
    redis.call('HDEL', key('whose'), id)
  end
end
return #ids

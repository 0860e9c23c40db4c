-- All claims (ARGV[2]), or none; ARGV[3] is the entry for when nobody comes back. → what stands in the way (verdicts.lua), or a verdict.
local now = micros()
if redis.call('EXISTS', key('done', request.id), key('r', request.id)) > 0 then
  return answer_of({ taken = true, now = now })
end
local claims = cjson.decode(ARGV[2])
local problem = obstacle(claims, now)
if problem then return problem end
local granted, booked = all_fit(claims, now), {}
if granted then
  local seen = {}
  for _, claim in ipairs(claims) do
    if not seen[claim.key] then
      seen[claim.key] = true
      booked[#booked + 1] =
        hold(claim.kind, claim.key, claim.measure, request.asked[claim.measure], now, claim.unit)
    end
  end
end
local answer = verdict(claims, granted, now)
write_counters()
if granted then
  redis.call('HSET', key('r', request.id), 'time', now, 'bound', cjson.encode(request.asked),
    'booked', cjson.encode(booked), 'claims', ARGV[2],
    'entry', ARGV[3])
  redis.call('ZADD', key('open'), whole(tonumber(now) + tonumber(request.lease)), request.id)
  local order = whole(redis.call('INCR', key('order')))
  redis.call('HSET', key('whose'), request.id, now .. ' ' .. order .. request.whose)
end
return answer

-- All claims, or none. → what stands in the way (verdicts.lua), or a verdict.
local now = micros()
if redis.call('EXISTS', key('done', request.id), key('r', request.id)) > 0 then
  return answer_of({ taken = true, now = now })
end
local problem = obstacle(request.claims, now)
if problem then return problem end
local granted = all_fit(request.claims, now)
if granted then
  local booked, seen = {}, {}
  for _, claim in ipairs(request.claims) do
    if not seen[claim.key] then
      seen[claim.key] = true
      booked[#booked + 1] =
        hold(claim.kind, claim.key, claim.measure, claim.asked, now, claim.unit)
    end
  end
  redis.call('HSET', key('r', request.id), 'time', now, 'bound', cjson.encode(request.bound),
    'booked', cjson.encode(booked), 'claims', cjson.encode(request.claims),
    'entry', request.entry)
  redis.call('ZADD', key('open'), whole(tonumber(now) + tonumber(request.lease)), request.id)
  local order = whole(redis.call('INCR', key('order')))
  redis.call('HSET', key('whose'), request.id, now .. ' ' .. order .. request.whose)
end
return verdict(request.claims, granted, now)

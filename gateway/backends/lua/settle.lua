-- Resolve a reservation by what was used, and post its entry (ARGV[2]). Without one it is withdrawn; where
-- it is not there, it may still be on its way, so that none of this id is made any more.
local now = micros()
local entry = ARGV[2] ~= '' and ARGV[2]
local text = redis.call('HGET', key('r', request.id), 'claims')
if not text then
  if not entry then
    redis.call('SET', key('done', request.id), 'withdrawn', 'PX', DAY_MS, 'NX')
  end
  return answer_of({ unknown = true, now = now })
end
local claims, whole_claims = cjson.decode(text), {}
for _, claim in ipairs(claims) do fetch_counter(claim.kind, claim.key, claim.amount) end
resolve(request.id, request.used, entry, now)
for _, claim in ipairs(claims) do
  if is_ready(claim.key) and (not claim.previous or is_ready(claim.previous)) then
    whole_claims[#whole_claims + 1] = claim
  end
end
if #whole_claims < #claims then whole_claims = {} end
local answer = verdict(whole_claims, true, now)
forget(request.id)
return answer

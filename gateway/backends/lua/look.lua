-- As reserve.lua, but nothing is reserved.
local now = micros()
local claims = cjson.decode(ARGV[2])
local problem = obstacle(claims, now)
if problem then return problem end
local answer = verdict(claims, all_fit(claims, now), now)
write_counters()
return answer

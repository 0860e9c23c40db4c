-- As reserve.lua, but nothing is reserved.
local now = micros()
local problem = obstacle(request.claims, now)
if problem then return problem end
return verdict(request.claims, all_fit(request.claims, now), now)

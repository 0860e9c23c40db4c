-- End what cut.lua began at the same time: add what had been used by then. → how many were ended;
-- others were ended by somebody else, or have begun again.
local now = micros()
local ended = 0
for _, counter in ipairs(request.counters) do
  local text = get(counter.key, 'count')
  local count = text and cjson.decode(text)
  if count and count.time == counter.time then
    if counter.kind == 'rate' then
      rate.add(counter.key, counter.used, now, counter.unit)
    else
      local since = big.over(sums(counter.key), big.of(count.used))
      set(counter.key, 'used', big.text(big.add(since, big.of(counter.used))))
    end
    set(counter.key, 'count')
    set(counter.key, 'pending')
    ended = ended + 1
    if get(counter.key, 'open') == '0' then
      let_rest(counter.kind, counter.key, now)
    end
  end
end
write_counters()
return ended

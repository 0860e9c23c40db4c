-- The fields of counters, each read once and written once in a script: to ask Redis costs more than
-- all that is computed. Nothing is written before `write_counters`.
local UNPACKED_MAX = 1000
local fields = {}   -- by counter and name: text, or false where there is none
local changed = {}  -- by counter: names of fields
local rests = {}    -- by counter: milliseconds until it is forgotten, or false: never

-- Read at once what is not known of these.
local function fetch(counter, names)
  local known, unknown = fields[counter], names
  if known then
    unknown = {}
    for _, name in ipairs(names) do
      if known[name] == nil then unknown[#unknown + 1] = name end
    end
  else
    known = {}
    fields[counter] = known
  end
  if #unknown == 0 then return end
  local found = redis.call('HMGET', counter, unpack(unknown))
  for i, name in ipairs(unknown) do known[name] = found[i] end
end

-- The field's text, or false.
local function get(counter, name)
  local known = fields[counter]
  if not known or known[name] == nil then
    fetch(counter, { name })
    known = fields[counter]
  end
  return known[name]
end

-- Without a value: the field is deleted.
local function set(counter, name, value)
  local known = fields[counter]
  if not known then
    known = {}
    fields[counter] = known
  end
  value = value or false
  if known[name] == value then return end
  known[name] = value
  local names = changed[counter]
  if not names then
    names = {}
    changed[counter] = names
  end
  names[name] = true
end

local function call_in_parts(command, counter, words)
  for first = 1, #words, UNPACKED_MAX do
    redis.call(command, counter, unpack(words, first, math.min(first + UNPACKED_MAX - 1, #words)))
  end
end

local function write_fields()
  for counter, names in pairs(changed) do
    local kept, gone = {}, {}
    for name in pairs(names) do
      local value = fields[counter][name]
      if value then
        kept[#kept + 1] = name
        kept[#kept + 1] = value
      else
        gone[#gone + 1] = name
      end
    end
    call_in_parts('HSET', counter, kept)
    call_in_parts('HDEL', counter, gone)
  end
  changed = {}
  for counter, ms in pairs(rests) do
    if ms then
      redis.call('PEXPIRE', counter, ms)
    else
      redis.call('PERSIST', counter)
    end
  end
  rests = {}
end

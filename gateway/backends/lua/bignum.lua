-- Whole numbers ≥ 0 of any size. Below `SMALL` they are Lua's own, which are exact to 2^53 and much
-- cheaper; from there on limbs of seven digits, the lowest first: a bucket counts amount ×
-- microseconds. A number has one form only, so that zero is 0.
local LIMB, DIGITS, SMALL = 10000000, 7, 9000000000000000
local SURE_DIGITS = 15  -- so many are small; as many as 16 may be
local big = {}

local function limbs_of(a)
  if type(a) == 'table' then return a end
  local limbs = {}
  while a > 0 do
    local limb = math.fmod(a, LIMB)
    limbs[#limbs + 1] = limb
    a = (a - limb) / LIMB
  end
  return limbs
end

local function from_limbs(limbs)
  while limbs[#limbs] == 0 do limbs[#limbs] = nil end
  if #limbs > 3 then return limbs end
  local number = ((limbs[3] or 0) * LIMB + (limbs[2] or 0)) * LIMB + (limbs[1] or 0)
  if number < SMALL then return number end
  return limbs
end

function big.of(text)
  if #text <= SURE_DIGITS + 1 then
    local number = tonumber(text)
    if number < SMALL then return number end
  end
  local limbs = {}
  for last = #text, 1, -DIGITS do
    limbs[#limbs + 1] = tonumber(string.sub(text, math.max(1, last - DIGITS + 1), last))
  end
  return from_limbs(limbs)
end

function big.text(a)
  if type(a) == 'number' then return string.format('%.0f', a) end
  local parts = { string.format('%d', a[#a]) }
  for i = #a - 1, 1, -1 do parts[#parts + 1] = string.format('%07d', a[i]) end
  return table.concat(parts)
end

function big.less(a, b)
  local is_small, is_other_small = type(a) == 'number', type(b) == 'number'
  if is_small and is_other_small then return a < b end
  if is_small ~= is_other_small then return is_small end
  if #a ~= #b then return #a < #b end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end

function big.least(a, b)
  if big.less(b, a) then return b end
  return a
end

function big.add(a, b)
  if type(a) == 'number' and type(b) == 'number' and a + b < SMALL then return a + b end
  a, b = limbs_of(a), limbs_of(b)
  local sum, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local limb = (a[i] or 0) + (b[i] or 0) + carry
    carry = limb >= LIMB and 1 or 0
    sum[i] = limb - carry * LIMB
  end
  if carry > 0 then sum[#sum + 1] = carry end
  return from_limbs(sum)
end

-- a - b, or 0 where b is more.
function big.over(a, b)
  if big.less(a, b) then return 0 end
  if type(a) == 'number' then return a - b end
  b = limbs_of(b)
  local rest, borrow = {}, 0
  for i = 1, #a do
    local limb = a[i] - (b[i] or 0) - borrow
    borrow = limb < 0 and 1 or 0
    rest[i] = limb + borrow * LIMB
  end
  return from_limbs(rest)
end

function big.mul(a, b)
  if type(a) == 'number' and type(b) == 'number' and a * b < SMALL then return a * b end
  a, b = limbs_of(a), limbs_of(b)
  local product = {}
  for i = 1, #a + #b do product[i] = 0 end
  for i = 1, #a do
    local carry = 0
    for j = 1, #b do
      local limb = product[i + j - 1] + a[i] * b[j] + carry
      carry = math.floor(limb / LIMB)
      product[i + j - 1] = limb - carry * LIMB
    end
    product[i + #b] = carry
  end
  return from_limbs(product)
end
